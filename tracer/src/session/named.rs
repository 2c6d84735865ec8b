//! Processes that the user named and that are not of the target: each is told.

use std::collections::HashSet;

use super::Session;
use crate::{event::Doubt, readings};

impl Session {
    /// Doubts for processes that were named and are not of the target.
    pub(super) fn tell_of_missing(&mut self, asked: &[u32]) {
        let known = self.model.processes();
        let known = known.filter_map(|process| Some(process.started.as_ref()?.pid));
        self.doubts
            .extend(missing(asked, &known.collect(), readings::lives));
    }
}

fn missing(asked: &[u32], known: &HashSet<u32>, lives: impl Fn(u32) -> bool) -> Vec<Doubt> {
    let missing = asked.iter().filter(|pid| !known.contains(pid));
    let (living, ended): (Vec<u32>, Vec<u32>) = missing.partition(|pid| lives(**pid));
    let doubt = |pids: &[u32], id: &str, what: &str, remedy: &str| {
        let names: Vec<String> = pids.iter().map(u32::to_string).collect();
        (!pids.is_empty()).then(|| Doubt {
            id: id.to_owned(),
            text: format!("Not in the figures: PID {}, {what}.", names.join(", ")),
            remedy: remedy.to_owned(),
        })
    };
    let living = doubt(
        &living,
        "pid-not-found",
        "which the kernel's list of tasks does not have",
        "Name other processes.",
    );
    let ended = doubt(&ended, "pid-ended", "which ended before tracing began", "");
    living.into_iter().chain(ended).collect()
}

/// Why none of the processes named is of the target.
pub(super) fn nobody(pids: &[u32]) -> anyhow::Error {
    match pids.iter().find(|pid| readings::lives(**pid)) {
        Some(pid) => anyhow::anyhow!(
            "process {pid} cannot be traced: the kernel's list of tasks does not have it"
        ),
        None => anyhow::anyhow!("every process named ended before tracing began"),
    }
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn whoever_was_named_and_is_not_followed_is_told() {
        let known = [7, 8].into();
        assert!(missing(&[7, 8], &known, |_| true).is_empty());
        let doubts = missing(&[7, 1, 9, 10], &known, |pid| pid == 1);
        let told: Vec<_> = doubts
            .iter()
            .map(|doubt| (&*doubt.id, &*doubt.text))
            .collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].0 == "pid-not-found" && told[0].1.contains("PID 1,"));
        assert!(told[1].0 == "pid-ended" && told[1].1.contains("PID 9, 10,"));
    }
}
