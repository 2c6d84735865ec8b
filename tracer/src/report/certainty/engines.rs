//! Container engines among the processes of the target: what they start may be no descendant of
//! theirs, and what they are themselves is not the container.

use super::{Doubts, Touches};
use crate::report::scope::Scope;

/// Clients of a daemon, which starts what they ask for.
const CLIENTS: [&str; 6] = [
    "docker",
    "docker-compose",
    "nerdctl",
    "kubectl",
    "crictl",
    "ctr",
];
/// Words with which they ask for it.
const STARTS: [&str; 5] = ["run", "start", "exec", "up", "restart"];
/// What an engine without a daemon leaves beside each container.
const MONITOR: &str = "conmon";

/// Tells of engines that were part of the target.
pub(super) fn find(doubts: &mut Doubts, scope: &Scope<'_>) {
    if !scope.is_command() {
        return;
    }
    let lines = || scope.rows.iter().filter_map(|row| row.command_line());
    let client = lines().find_map(|line| {
        let program = line.argv.first()?.rsplit('/').next()?;
        let client = CLIENTS.into_iter().find(|client| *client == program)?;
        let asks = |word: &String| STARTS.contains(&word.as_str());
        line.argv.iter().skip(1).any(asks).then_some(client)
    });
    if let Some(client) = client {
        doubts.add(
            Touches::NoPeak,
            "container-elsewhere",
            format!(
                "{client} has a daemon start what it asks for: that is no descendant of the \
                 command, and not in these figures."
            ),
            "Trace the container: memtrace --container NAME --wait, or --pod NAMESPACE/NAME.",
        );
    }
    if scope.rows.iter().any(|row| row.comm() == MONITOR) {
        doubts.add(
            Touches::NoPeak,
            "engine-included",
            "The engine's own processes (podman, conmon, runc) are in these figures, beside what \
             runs in the container."
                .to_owned(),
            "Trace the container alone: memtrace --container NAME --wait.",
        );
    }
}
