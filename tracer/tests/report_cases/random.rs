//! Random runs of the made-up world.

use memtrace::event::{Doubt, EndReason, Ended};
use proptest::prelude::*;
use tracer_common::record::mark;

use crate::run::{Run, pages};

/// Something that happens; processes and names are taken modulo what there is.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Fork(usize),
    Vfork(usize),
    Exec(usize, usize),
    Level(usize, i64, i64, i64),
    Exit(usize, u32),
    Mark(usize, u32, usize, u64),
    Wait(u64),
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        any::<usize>().prop_map(Step::Fork),
        any::<usize>().prop_map(Step::Vfork),
        (any::<usize>(), any::<usize>()).prop_map(|(who, what)| Step::Exec(who, what)),
        (any::<usize>(), 0..100_000_i64, 0..5_000_i64, 0..3_i64)
            .prop_map(|(who, anon, file, shmem)| Step::Level(who, anon, file, shmem)),
        (any::<usize>(), any::<u32>()).prop_map(|(who, status)| Step::Exit(who, status & 0xffff)),
        (
            any::<usize>(),
            mark::BEGIN..=mark::END_TARGET,
            any::<usize>(),
            0..3_u64
        )
            .prop_map(|(who, what, name, track)| Step::Mark(who, what, name, track)),
        (0..100_000_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..60)
}

/// Names without zeros, which end them.
pub(crate) fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(
        any::<String>().prop_map(|name| name.replace('\0', "")),
        1..4,
    )
}

/// Plays the steps. Process 1 lives on as long as any other, so that all have a parent.
pub(crate) fn live(steps: &[Step], names: &[String]) -> Run {
    let mut run = Run::command(&[&names[0]]);
    run.exec(1, &[&names[0]]);
    // Those in a borrowed space do nothing to it, as after `vfork`.
    let mut alive = vec![(1_u32, false)];
    for step in steps {
        let pick = |who: usize| alive[who % alive.len()];
        match *step {
            Step::Fork(who) | Step::Vfork(who) => {
                let shares = matches!(step, Step::Vfork(_));
                let (parent, borrowed) = pick(who);
                if !borrowed {
                    let child = if shares {
                        run.vfork(parent)
                    } else {
                        run.fork(parent)
                    };
                    alive.push((child, shares));
                }
            }
            Step::Exec(who, what) => {
                let (process, borrowed) = pick(who);
                let name = &names[what % names.len()];
                // A space in use by a child cannot be left: the parent waits, as after `vfork`.
                if borrowed || !alive.iter().any(|(_, borrowed)| *borrowed) {
                    run.exec(process, &[name, "--flag", name]);
                    alive
                        .iter_mut()
                        .filter(|(p, _)| *p == process)
                        .for_each(|p| p.1 = false);
                }
            }
            Step::Level(who, anon, file, shmem) => {
                let (process, borrowed) = pick(who);
                if !borrowed {
                    run.level(process, pages(anon, file, shmem));
                }
            }
            Step::Exit(who, status) => {
                let (process, borrowed) = pick(who);
                let lends = alive.iter().any(|(_, borrowed)| *borrowed);
                if process != 1 && (borrowed || !lends) {
                    run.exit(process, status);
                    alive.retain(|(p, _)| *p != process);
                }
            }
            Step::Mark(who, what, name, track) => {
                run.mark(pick(who).0, what, &names[name % names.len()], track);
            }
            Step::Wait(ticks) => {
                run.wait(ticks);
            }
        }
        run.now += 1;
    }
    run
}

/// The end, with doubts that say whatever the names are.
pub(crate) fn end(run: &Run, names: &[String]) -> Ended {
    let mut ended = run.ended(EndReason::Interrupted, None);
    let doubts = names.iter().map(|name| Doubt {
        id: name.clone(),
        text: format!("{name} {name}"),
        remedy: name.clone(),
    });
    ended.doubts.extend(doubts);
    ended
}
