//! What looks at `/proc` are worth: never exact, with the bounds that can be stated and the reason
//! where none can.

use super::{Bounds, DOUBT, Run};
use crate::{
    event::{Doubt, Hook},
    report::schema::{Absent, Certainty, Sampled, StreamCheck},
    units::{Bytes, Count, Nanos},
};

impl Run {
    pub(super) fn certainty(&self, bounds: Option<Bounds>) -> Certainty {
        let watcher = &self.watcher;
        let most_why = bounds
            .is_none_or(|of| of.most.is_none())
            .then(|| self.why_no_most());
        let every = Nanos(self.every_ns);
        let mut text = format!(
            "Not exact: {} looks at /proc, every {every} and up to {} apart. What came and went \
             between two looks is missing, and processes are read one after the other. ",
            Count(watcher.looks),
            Nanos(watcher.longest_ns),
        );
        text += &match bounds {
            None => "No look saw anything: ".to_owned(),
            Some(Bounds {
                least,
                most: Some(most),
                ..
            }) => format!("The peak was from {} to {}: ", Bytes(least), Bytes(most)),
            Some(Bounds { least, .. }) => {
                format!(
                    "The peak was at least {}; how much more is not known: ",
                    Bytes(least)
                )
            }
        };
        text += match &most_why {
            Some(why) => why,
            None if bounds.is_some() => {
                "nothing was started on this machine meanwhile, so that there was one process with \
                 one thread, and the kernel's own marks of it are off by no more."
            }
            None => "",
        };
        let mut doubts = vec![Doubt {
            id: DOUBT.to_owned(),
            text,
            remedy: "For exact figures run it as root or with capabilities: memtrace check."
                .to_owned(),
        }];
        if watcher.is_full {
            doubts.push(Doubt {
                id: "more-processes".to_owned(),
                text: "There were more processes than are told one by one.".to_owned(),
                remedy: String::new(),
            });
        }
        let absent = |key, why: &'static str| Absent {
            key,
            why: why.into(),
        };
        Certainty {
            exact: false,
            peak_error_bound_bytes: bounds.and_then(|bounds| {
                let above = bounds.most? - bounds.told;
                Some(above.max(bounds.told - bounds.least).unsigned_abs())
            }),
            events: 0,
            events_lost: 0,
            records: Vec::new(),
            lost_by_cpu: Vec::new(),
            quantum_bytes: 0,
            stream: StreamCheck {
                max_rss_bytes: None,
                allowed_bytes: 0,
                agrees: None,
            },
            hooks: vec![Hook {
                subject: "rss".to_owned(),
                via: format!("/proc/PID/status, every {every}"),
            }],
            doubts,
            absent: vec![
                absent("certainty.quantum_bytes", "Nothing is streamed."),
                absent("certainty.events", "Nothing is streamed."),
                absent("phases", "Marks are seen by hooks alone."),
                absent(
                    "histograms",
                    "Looks have no durations and no sizes of calls.",
                ),
                absent("processes[].faults", "They are read by hooks alone."),
                absent("processes[].vm", "Calls are seen by hooks alone."),
                absent("oom", "It is seen by hooks alone."),
            ],
            sampled: Some(Sampled {
                every_ns: self.every_ns,
                looks: watcher.looks,
                longest_ns: watcher.longest_ns,
                peak_least_bytes: bounds.map(|bounds| bounds.least),
                peak_most_bytes: bounds.and_then(|bounds| bounds.most),
                peak_most_why: most_why,
            }),
        }
    }

    /// Why nothing can be said of how high the peak was at most.
    fn why_no_most(&self) -> String {
        match self.forks {
            _ if self.max_rss_bytes.is_none() => {
                "the command still ran when the looking ended.".to_owned()
            }
            Some(0) => "the command ended before a look found it.".to_owned(),
            Some(forks) => format!(
                "{} were started on this machine meanwhile, and the kernel does not tell by whom. \
                 One that no look saw may have held any amount.",
                match forks {
                    1 => "one process or thread".to_owned(),
                    several => format!("{} processes or threads", Count(several)),
                }
            )
            .replace("one process or thread were", "one process or thread was"),
            None => "the kernel does not tell whether other processes were started.".to_owned(),
        }
    }
}
