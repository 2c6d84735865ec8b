//! Instruments by the names that people know, and how often each looks.

use std::time::Duration;

use crate::units;

/// What is read, and as whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instrument {
    /// psutil: RSS of the process and, recursively, its children, summed (`mprof -C`,
    /// `psrecord --include-children` and many scripts do the same).
    Psutil,
    /// `/proc/PID/statm` of the process alone.
    Statm,
    /// `ps -o rss`: `VmRSS` of the process alone.
    Ps,
    /// `mprof run`: psutil's RSS of the process alone.
    Mprof,
    /// `smaps_rollup` of the process and its descendants: RSS and PSS.
    Smaps,
    /// `VmHWM` of the process.
    VmHwm,
    /// The files of its memory cgroup, and what docker stats makes of them.
    Cgroup,
    /// `ru_maxrss` as `wait4` gives it (`time -v`, `resource`).
    Rusage,
}

/// Name, instrument, how often it looks by itself; `None` for one that does not look.
const NAMES: [(&str, Instrument, Option<Duration>); 8] = [
    ("psutil", Instrument::Psutil, Some(ms(100))),
    ("statm", Instrument::Statm, Some(ms(10))),
    ("ps", Instrument::Ps, Some(ms(1_000))),
    ("mprof", Instrument::Mprof, Some(ms(100))),
    ("smaps", Instrument::Smaps, Some(ms(1_000))),
    ("vmhwm", Instrument::VmHwm, Some(ms(100))),
    ("cgroup", Instrument::Cgroup, Some(ms(1_000))),
    ("rusage", Instrument::Rusage, None),
];

const LEAST: Duration = ms(1);
const MOST: Duration = ms(3_600_000);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// An instrument that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub instrument: Instrument,
    /// How often it looks; `None` if it does not.
    pub every: Option<Duration>,
    /// As it was typed, and with the interval if that was not.
    pub name: String,
}

impl std::str::FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, typed) = match text.split_once('@') {
            Some((name, typed)) => (name, Some(typed)),
            None => (text, None),
        };
        let known = NAMES.iter().find(|(known, ..)| *known == name);
        let (_, instrument, own) = known.ok_or_else(|| {
            let names = NAMES.map(|(name, ..)| name).join(", ");
            format!("`{name}` is no tool that memtrace can stand in for; there are {names}")
        })?;
        let every = match (typed, own) {
            (None, own) => *own,
            (Some(_), None) => {
                return Err(format!("{name} does not look now and then: leave out @"));
            }
            (Some(text), Some(_)) => {
                let every = units::parse_duration(text).map_err(|error| error.to_string())?;
                if !(LEAST..=MOST).contains(&every) {
                    return Err(format!(
                        "{name} can look every 1ms to 60m, not every {text}"
                    ));
                }
                Some(every)
            }
        };
        let name = match every {
            Some(every) if typed.is_none() => {
                format!("{name}@{}", humantime::format_duration(every))
            }
            _ => text.to_owned(),
        };
        Ok(Self {
            instrument: *instrument,
            every,
            name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_has_a_name_and_may_have_an_interval() {
        let asked = |text: &str| text.parse::<Asked>();
        let psutil = asked("psutil@500ms").unwrap();
        assert_eq!(psutil.instrument, Instrument::Psutil);
        assert_eq!(psutil.every, Some(ms(500)));
        assert_eq!(psutil.name, "psutil@500ms");
        assert_eq!(asked("smaps").unwrap().name, "smaps@1s");
        assert_eq!(asked("rusage").unwrap().every, None);
        for (wrong, said) in [
            ("top", "psutil, statm, ps"),
            ("psutil@", "psutil@"),
            ("psutil@0ms", "1ms to 60m"),
            ("psutil@2h", "1ms to 60m"),
            ("rusage@1s", "leave out @"),
        ] {
            let refused = asked(wrong).unwrap_err();
            assert!(
                refused.contains(said) || wrong == "psutil@",
                "{wrong}: {refused}"
            );
        }
    }
}
