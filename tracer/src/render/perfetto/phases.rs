//! Phases as slices: each thread has its track, and so have functions, programs, the tracks that a
//! program named, and the target.

use std::{collections::BTreeMap, io};

use super::{SLICE_BEGIN, SLICE_END, TARGET, Trace, annotate, field, wire::Message};
use crate::{
    render::phases::{Place, Track, tracks},
    report::schema::{PhaseRow, PhaseScope, Report},
};

/// The first track; what stands before it belongs to processes.
const FIRST: u64 = 1 << 40;

/// Slices of a track lie within each other or side by side. Phases that overlap otherwise, as those
/// of a named track may, go to tracks beside it.
struct Lane {
    uuid: u64,
    /// Ends of the slices that have begun, the innermost last.
    open: Vec<u64>,
}

/// Writes the tracks under those of their processes.
pub(super) fn write<W: io::Write>(
    report: &Report,
    processes: &BTreeMap<Option<u32>, u64>,
    trace: &mut Trace<'_, W>,
) -> io::Result<()> {
    let mut uuid = FIRST;
    for Track { place, phases } in tracks(&report.phases) {
        let process = processes.get(&place.pid).copied().unwrap_or(TARGET);
        let mut lanes: Vec<Lane> = Vec::new();
        for phase in phases {
            for lane in &mut lanes {
                lane.end_until(phase.start_ns, trace)?;
            }
            let number = match lanes.iter().position(|lane| lane.has_room_for(phase)) {
                Some(number) => number,
                None => {
                    let first = lanes.first().map(|lane| lane.uuid);
                    trace.track(&described(place, uuid, process, first))?;
                    lanes.push(Lane {
                        uuid,
                        open: Vec::new(),
                    });
                    uuid += 1;
                    lanes.len() - 1
                }
            };
            lanes[number].begin(phase, trace)?;
        }
        for lane in &mut lanes {
            lane.end_until(u64::MAX, trace)?;
        }
    }
    Ok(())
}

/// The track of a place, or one more beside the first of that place.
fn described(place: Place, uuid: u64, process: u64, first: Option<u64>) -> Message {
    let parent = match place.scope {
        PhaseScope::Target => TARGET,
        _ => process,
    };
    let mut track = Message::default();
    track.number(field::track::UUID, uuid);
    track.number(field::track::PARENT, first.unwrap_or(parent));
    let number = place.number;
    let name = match (place.scope, first, place.pid) {
        (_, Some(_), _) => "overlapping phases".to_owned(),
        (PhaseScope::Target, ..) => "phases of the target".to_owned(),
        (PhaseScope::Program, ..) => "programs".to_owned(),
        (PhaseScope::Function, ..) => format!("functions of thread {number}"),
        (PhaseScope::Track, ..) => format!("track {number}"),
        (PhaseScope::Thread, _, None) => format!("thread {number}"),
        (PhaseScope::Thread, _, Some(pid)) => {
            let mut thread = Message::default();
            thread.number(field::thread::PID, pid.into());
            thread.number(field::thread::TID, number);
            track.message(field::track::THREAD, &thread);
            return track;
        }
    };
    track.text(field::track::NAME, &name);
    track
}

impl Lane {
    fn has_room_for(&self, phase: &PhaseRow) -> bool {
        let innermost = self.open.last();
        innermost.is_none_or(|end_ns| *end_ns >= phase.end_ns)
    }

    fn begin<W: io::Write>(
        &mut self,
        phase: &PhaseRow,
        trace: &mut Trace<'_, W>,
    ) -> io::Result<()> {
        let mut event = trace.event(SLICE_BEGIN, self.uuid);
        event.text(field::event::NAME, &phase.name);
        let growth = phase.peak_rss_bytes.zip(phase.start_rss_bytes);
        for (name, bytes) in [
            ("peak_rss_bytes", phase.peak_rss_bytes),
            ("growth_bytes", growth.map(|(peak, start)| peak - start)),
            ("peak_target_bytes", Some(phase.peak_target_bytes)),
        ] {
            if let Some(bytes) = bytes {
                annotate(&mut event, name, |annotation| {
                    annotation.number(field::annotation::INT, bytes.cast_unsigned());
                });
            }
        }
        self.open.push(phase.end_ns);
        trace.tell(phase.start_ns, &event)
    }

    /// Ends what ends by then, so that what begins at the same time is not within it.
    fn end_until<W: io::Write>(&mut self, at_ns: u64, trace: &mut Trace<'_, W>) -> io::Result<()> {
        while let Some(end_ns) = self.open.pop_if(|end_ns| *end_ns <= at_ns) {
            let event = trace.event(SLICE_END, self.uuid);
            trace.tell(end_ns, &event)?;
        }
        Ok(())
    }
}
