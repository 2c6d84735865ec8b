//! Events that the kernel kept from our programs.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd as _, AsRawFd as _},
};

use super::{Live, Planned};

impl Live {
    /// Events that the kernel kept from our programs, because one was active on that CPU already:
    /// at most so many, as the programs' descriptors tell. `None` if the kernel does not tell.
    pub fn missed_runs(&self) -> Option<BTreeMap<String, u64>> {
        let mut skipped = BTreeMap::new();
        for (name, program) in self.bpf.programs() {
            // Programs that were not loaded have no descriptor.
            let Ok(fd) = program.fd() else { continue };
            let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
            let text = std::fs::read_to_string(path).ok()?;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("recursion_misses:"))?;
            skipped.insert(name, line.trim().parse::<u64>().ok()?);
        }
        // These find out by themselves what they missed.
        for planned in &self.at_functions {
            skipped.remove(planned.name);
        }
        Some(missed(&self.attached, skipped))
    }
}

/// Events missed at most, from how often each program was skipped. Where a tracepoint has two
/// programs, an event is missed only if both were.
fn missed(attached: &[Planned], mut skipped: BTreeMap<&str, u64>) -> BTreeMap<String, u64> {
    let mut by_tracepoint = BTreeMap::new();
    for planned in attached {
        if let Some(skipped) = skipped.remove(planned.name)
            && !planned.is_made_up_for
        {
            let least = by_tracepoint.entry(planned.tracepoint).or_insert(skipped);
            *least = skipped.min(*least);
        }
    }
    let of_others = skipped.into_iter();
    let missed = by_tracepoint.into_iter().chain(of_others);
    missed
        .filter(|(_, missed)| *missed > 0)
        .map(|(name, missed)| (name.to_owned(), missed))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Planned, missed};

    #[test]
    fn an_event_is_missed_if_all_programs_of_its_tracepoint_were_skipped() {
        let program = |name, tracepoint| Planned {
            name,
            tracepoint,
            subject: "",
            is_made_up_for: tracepoint == "sched_process_exit",
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
