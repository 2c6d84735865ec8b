//! A judgement as text for people: the conclusion first, then what it rests on.

mod tools;

use std::fmt;

use super::{
    command_line,
    page::{LABEL, Look, Page, right, visible},
};
use crate::{
    event::TargetAsked,
    judge::schema::{Judgement, Need, Pollers, Wrapping},
    units::{Bytes, Count, Nanos},
};

/// Interval of the first sentence, milliseconds: what many tools use.
const EXAMPLE_MS: f64 = 500.0;
/// The error that the sentences speak of: 5 %.
const SPOKEN: usize = 1;
/// Intervals for which processes are told, milliseconds.
const OF_ROWS_MS: [f64; 3] = [10.0, 100.0, 1000.0];

/// Writes the judgement, no line wider than 80 columns; with ANSI colours if `colour`.
pub fn write(judgement: &Judgement, colour: bool, out: &mut impl fmt::Write) -> fmt::Result {
    let page = &mut Page::new(out, colour);
    let pollers = &judgement.of_target;
    page.hanging("judgement", LABEL, Look::Bold, &conclusion(pollers))?;
    page.gap()?;
    subject(page, judgement)?;
    // What was asked for first, then what any poller would have said.
    tools::write(page, judgement)?;
    page.gap()?;
    intervals(page, pollers)?;
    page.gap()?;
    needs(page, pollers)?;
    rows(page, judgement)?;
    phases(page, judgement)?;
    page.gap()?;
    certainty(page, judgement)
}

fn conclusion(pollers: &Pollers) -> String {
    let example = pollers.intervals.iter().find(|i| i.ms == EXAMPLE_MS);
    let missed = example.map_or(0.0, |interval| interval.p_miss.0[SPOKEN]);
    let every = interval(EXAMPLE_MS);
    let first = if missed == 0.0 {
        format!("A poller every {every} never misses more than 5 % of this peak.")
    } else {
        let often = probability(missed);
        format!("A poller every {every} misses more than 5 % of this peak in {often} of its runs.")
    };
    let need = &pollers.needs.0[SPOKEN];
    let second = match need.ms {
        Some(_) if need.too_long_ms.is_none() => "Any interval up to a minute is good.".to_owned(),
        Some(ms) => format!(
            "To stay within 5 % in 95 % of runs, poll every {} or faster.",
            interval(ms)
        ),
        None => format!(
            "No interval of {} or more stays within 5 % in 95 % of runs: the peak is not held \
             longer than {}.",
            interval(need.too_long_ms.unwrap_or(EXAMPLE_MS)),
            interval(need.never_missed_ms),
        ),
    };
    format!("{first} {second}")
}

fn subject(page: &mut Page<'_>, judgement: &Judgement) -> fmt::Result {
    let peak = judgement.of_target.peak_bytes;
    let (look, worth) = match judgement.peak_error_bound_bytes {
        Some(0) => (Look::Good, "exact".to_owned()),
        Some(bound) => (
            Look::Bad,
            format!("at most {} off", Bytes(bound.cast_signed())),
        ),
        None => (Look::Bad, "not certain, see below".to_owned()),
    };
    let size = Bytes(peak).to_string();
    let bytes = format!(" = {} bytes, ", Count(peak.unsigned_abs()));
    let pieces = [
        (Look::Bold, size.as_str()),
        (Look::Plain, &bytes),
        (look, &worth),
    ];
    page.labelled("peak memory", &pieces)?;
    let Pollers {
        start_ns, end_ns, ..
    } = judgement.of_target;
    let (label, what) = match &judgement.target {
        TargetAsked::Command { argv, .. } => ("command", command_line(argv)),
        TargetAsked::Pids { pids, .. } => ("attached to", super::named(pids)),
        TargetAsked::Cgroup { path, .. } => ("cgroup", visible(path)),
    };
    page.labelled(label, &[(Look::Plain, &what)])?;
    if let Some(wrap) = &judgement.wrap {
        page.labelled("run by", &[(Look::Plain, &command_line(&wrap.argv))])?;
        page.wrapped(LABEL, Look::Plain, &beside(wrap))?;
    }
    let lived = format!(
        "there to be looked at for {}",
        Nanos(end_ns.saturating_sub(start_ns))
    );
    page.wrapped(LABEL, Look::Plain, &lived)
}

/// What the tool that ran the command was itself.
fn beside(wrap: &Wrapping) -> String {
    let own = match wrap.processes {
        0 => "with no process of its own".to_owned(),
        1 => "with one process of its own".to_owned(),
        several => format!("with {} processes of its own", Count(several)),
    };
    let together = wrap.together_peak_bytes.map_or(String::new(), |bytes| {
        format!("; tool and command together reached {}", Bytes(bytes))
    });
    let times = match wrap.times {
        1 => String::new(),
        several => format!("; it ran the command {} times", Count(several)),
    };
    format!("{own}, not in these figures{together}{times}")
}

fn intervals(page: &mut Page<'_>, pollers: &Pollers) -> fmt::Result {
    let errors = ["1 %", "5 %", "10 %", "25 %"]
        .map(|error| right(error, 8))
        .concat();
    let quantiles = ["half", "9 of 10", "all runs"]
        .map(|share| right(share, 9))
        .concat();
    page.labelled(
        "a poller",
        &[(
            Look::Plain,
            "   misses the peak by more than       is off by at most, in",
        )],
    )?;
    page.labelled(
        "every",
        &[
            (Look::Dim, &errors),
            (Look::Plain, "  "),
            (Look::Dim, &quantiles),
        ],
    )?;
    for told in &pollers.intervals {
        let every = format!("  {}", right(&interval(told.ms), 8));
        let missed = told.p_miss.0.map(|p| right(&probability(p), 8)).concat();
        let error = told.error_pct;
        let error = [error.p50, error.p90, error.max].map(|e| right(&percent(e), 9));
        let error = format!("  {}", error.concat());
        let look = if told.p_miss.0[SPOKEN] == 0.0 {
            Look::Good
        } else {
            Look::Plain
        };
        page.labelled(&every, &[(look, &missed), (Look::Plain, &error)])?;
    }
    Ok(())
}

fn needs(page: &mut Page<'_>, pollers: &Pollers) -> fmt::Result {
    let mut label = "to be within";
    for (error, need) in ["1 %", "5 %", "10 %", "25 %"].iter().zip(&pollers.needs.0) {
        let text = format!("{} in 95 % of runs: {}", right(error, 4), needed(need));
        page.labelled(label, &[(Look::Plain, &text)])?;
        label = "";
    }
    Ok(())
}

fn needed(need: &Need) -> String {
    let always = match need.never_missed_ms {
        0.0 => String::new(),
        ms => format!("; always: every {}", interval(ms)),
    };
    match (need.ms, need.too_long_ms) {
        // What misses in no run misses in few.
        (Some(ms), _) => {
            let most = ms.max(need.never_missed_ms);
            format!("every {}{always}", interval(most))
        }
        (None, Some(ms)) => format!("more often than every {}{always}", interval(ms)),
        (None, None) => "not known".to_owned(),
    }
}

fn rows(page: &mut Page<'_>, judgement: &Judgement) -> fmt::Result {
    // One process is the target; its row would say the same again.
    if judgement.processes.len() as u64 + judgement.processes_left_out < 2 {
        return Ok(());
    }
    page.gap()?;
    page.labelled(
        "processes",
        &[(
            Look::Plain,
            "misses more than 5 % of its own peak, polled every",
        )],
    )?;
    let heads = OF_ROWS_MS.map(|ms| right(&interval(ms), 9)).concat();
    let head = format!("{}{heads}{}  command", right("peak", 10), right("pid", 8));
    page.line(&[(Look::Dim, &head)])?;
    for row in &judgement.processes {
        let pid = row.pid.map_or("?".to_owned(), |pid| pid.to_string());
        let command = match row.argv.as_slice() {
            [] => row.comm.clone(),
            argv => command_line(argv),
        };
        let peak = right(&Bytes(row.pollers.peak_bytes).to_string(), 10);
        let missed = missed(&row.pollers);
        let line = format!("{peak}{missed}{}  {command}", right(&pid, 8));
        page.line(&[(Look::Plain, &line)])?;
    }
    match judgement.processes_left_out {
        0 => Ok(()),
        left => page.wrapped(
            LABEL,
            Look::Dim,
            &format!("with lower peaks: {} more", Count(left)),
        ),
    }
}

fn phases(page: &mut Page<'_>, judgement: &Judgement) -> fmt::Result {
    if judgement.phases.is_empty() {
        return Ok(());
    }
    page.gap()?;
    let what = "misses more than 5 % of its own peak, polled every";
    page.labelled("phases", &[(Look::Plain, what)])?;
    let heads = OF_ROWS_MS.map(|ms| right(&interval(ms), 9)).concat();
    let head = format!("{}{heads}{}  phase", right("peak", 10), right("pid", 8));
    page.line(&[(Look::Dim, &head)])?;
    for phase in &judgement.phases {
        let missed = missed(&phase.pollers);
        let pid = phase.pid.map_or("?".to_owned(), |pid| pid.to_string());
        let peak = right(&Bytes(phase.pollers.peak_bytes).to_string(), 10);
        let line = format!("{peak}{missed}{}  {}", right(&pid, 8), phase.name);
        page.line(&[(Look::Plain, &line)])?;
    }
    Ok(())
}

/// How often pollers of some intervals miss a peak.
fn missed(pollers: &Pollers) -> String {
    let cells = OF_ROWS_MS.map(|ms| {
        let told = pollers.intervals.iter().find(|told| told.ms == ms);
        let p = told.map_or("-".to_owned(), |told| probability(told.p_miss.0[SPOKEN]));
        right(&p, 9)
    });
    cells.concat()
}

fn certainty(page: &mut Page<'_>, judgement: &Judgement) -> fmt::Result {
    let exact = "computed over all offsets, none simulated";
    match judgement.bound_bytes {
        Some(0) => page.hanging("certainty", LABEL, Look::Plain, exact)?,
        Some(bound) => {
            let text = format!(
                "{exact}. The history leaves out movements of less than {}: what that can change \
                 is in the JSON (p_miss_least, p_miss_most).",
                Bytes(bound.cast_signed()),
            );
            page.hanging("certainty", LABEL, Look::Plain, &text)?;
        }
        None => page.hanging("certainty", LABEL, Look::Bad, "the history is not whole")?,
    }
    for doubt in &judgement.doubts {
        page.line(&[(Look::Plain, "  "), (Look::Bad, &doubt.id)])?;
        page.wrapped(6, Look::Plain, &doubt.text)?;
        if !doubt.remedy.is_empty() {
            page.wrapped(6, Look::Dim, &format!("-> {}", doubt.remedy))?;
        }
    }
    Ok(())
}

/// Milliseconds as people write them.
fn interval(ms: f64) -> String {
    let ns = (ms * 1e6).round() as u64;
    match ns {
        1_000_000..60_000_000_000 if ns.is_multiple_of(1_000_000_000) => {
            format!("{} s", ns / 1_000_000_000)
        }
        60_000_000_000 => "60 s".to_owned(),
        _ if ns.is_multiple_of(1_000_000) && ns < 1_000_000_000 => format!("{} ms", ns / 1_000_000),
        _ => Nanos(ns).to_string(),
    }
}

/// A probability, never rounded to certainty.
fn probability(p: f64) -> String {
    let pct = p * 100.0;
    match pct {
        0.0 => "0 %".to_owned(),
        100.0.. => "100 %".to_owned(),
        _ if pct < 0.1 => "<0.1 %".to_owned(),
        _ if pct > 99.9 => ">99.9 %".to_owned(),
        _ if (9.95..90.0).contains(&pct) => format!("{pct:.0} %"),
        _ => format!("{pct:.1} %"),
    }
}

fn percent(pct: f64) -> String {
    if pct == pct.round() {
        format!("{pct:.0} %")
    } else {
        format!("{pct:.1} %")
    }
}
