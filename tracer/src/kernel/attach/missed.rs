//! Events that the kernel kept from our programs.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::programs::Program;

use super::Live;
use crate::kernel::plan::Plan;

/// A program that is attached.
pub(super) struct Attached {
    name: &'static str,
    /// Where; several may be at one place, each to do what the others did not.
    place: &'static str,
    /// What it does not see is made up for, or known by other means.
    is_made_up_for: bool,
}

impl Attached {
    pub(super) fn all(plan: &Plan) -> Vec<Self> {
        let at_tracepoints = plan.programs.iter().map(|planned| Self {
            name: planned.name,
            place: planned.tracepoint,
            is_made_up_for: planned.is_made_up_for,
        });
        let at_functions = plan.at_functions.iter().map(|planned| Self {
            name: planned.name,
            place: planned.function,
            is_made_up_for: planned.is_made_up_for,
        });
        at_tracepoints.chain(at_functions).collect()
    }
}

/// What the kernel says of a program's descriptor.
pub(super) struct Described(String);

impl Described {
    /// A number by its name.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(':'));
        let (_, number) = lines.find(|(found, _)| *found == name)?;
        number.trim().parse().ok()
    }
}

/// Reads it. Within, `None` for a program that was not loaded: it has no descriptor.
pub(super) fn described(program: &Program) -> Option<Option<Described>> {
    let Ok(fd) = program.fd() else {
        return Some(None);
    };
    let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
    Some(Some(Described(std::fs::read_to_string(path).ok()?)))
}

impl Live {
    /// Events that the kernel kept from our programs, because one was active on that CPU already:
    /// at most so many, as the programs' descriptors tell. `None` if the kernel does not tell.
    pub fn missed_runs(&self) -> Option<BTreeMap<String, u64>> {
        let mut skipped = BTreeMap::new();
        for (name, program) in self.bpf.programs() {
            if let Some(text) = described(program)? {
                skipped.insert(name, text.number("recursion_misses")?);
            }
        }
        Some(missed(&self.attached, skipped))
    }
}

/// Events missed at most, from how often each program was skipped. Where a place has two programs,
/// an event is missed only if both were.
fn missed(attached: &[Attached], mut skipped: BTreeMap<&str, u64>) -> BTreeMap<String, u64> {
    let mut by_place = BTreeMap::new();
    for program in attached {
        if let Some(skipped) = skipped.remove(program.name)
            && !program.is_made_up_for
        {
            let least = by_place.entry(program.place).or_insert(skipped);
            *least = skipped.min(*least);
        }
    }
    let of_others = skipped.into_iter();
    let missed = by_place.into_iter().chain(of_others);
    missed
        .filter(|(_, missed)| *missed > 0)
        .map(|(name, missed)| (name.to_owned(), missed))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Attached, missed};

    #[test]
    fn an_event_is_missed_if_all_programs_of_its_place_were_skipped() {
        let program = |name, place| Attached {
            name,
            place,
            is_made_up_for: place == "sched_process_exit",
        };
        let attached = [
            program("exit_mmap", "exit_mmap"),
            program("exit_mmap_again", "exit_mmap"),
            program("rss_stat", "rss_stat"),
            program("sched_process_exit", "sched_process_exit"),
        ];
        let missed = |exit, again, rss, function| {
            let skipped = [
                ("exit_mmap", exit),
                ("exit_mmap_again", again),
                ("rss_stat", rss),
                ("function_entered", function),
                ("sched_process_exit", 7),
            ];
            let missed = missed(&attached, BTreeMap::from(skipped));
            missed.into_iter().collect::<Vec<_>>()
        };
        let named = |name: &str, missed: u64| (name.to_owned(), missed);
        assert_eq!(missed(5, 0, 0, 0), []);
        assert_eq!(
            missed(5, 2, 1, 0),
            [named("exit_mmap", 2), named("rss_stat", 1)]
        );
        assert_eq!(missed(0, 2, 0, 4), [named("function_entered", 4)]);
    }
}
