//! The machine that measures: what it is, and what it has for measuring with.

use std::{fs, path::Path, process::Command, thread::available_parallelism};

use anyhow::{Context, Result};

use crate::project;

const TRACEFS: &str = "/sys/kernel/tracing";

/// What a reader of the figures has to know of the machine.
pub(crate) fn described() -> Result<String> {
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let cpus = cpus()?;
    let cpuinfo = read("/proc/cpuinfo")?;
    let model = value(&cpuinfo, "model name").unwrap_or("of an unnamed model");
    let memory = read("/proc/meminfo")?;
    let kib: u64 = value(&memory, "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .context("/proc/meminfo has no MemTotal")?;
    let gib = kib as f64 / f64::from(1 << 20);
    Ok(format!(
        "Linux {}, {cpus} CPUs ({model}), {gib:.0} GiB",
        kernel.trim()
    ))
}

/// CPUs that programs of ours may use.
pub(crate) fn cpus() -> Result<u32> {
    Ok(u32::try_from(available_parallelism()?.get())?)
}

/// How many programs wanted to run in the last minute: what else a machine does spoils figures.
pub(crate) fn load() -> Result<String> {
    let text = read("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

/// Whether `perf` can count `kmem:rss_stat` here, or why not. It finds tracepoints in tracefs,
/// which is mounted if it is not.
pub(crate) fn perf() -> Result<(), String> {
    if project::find_program("perf").is_none() {
        return Err("there is no perf on this machine".to_owned());
    }
    let event = Path::new(TRACEFS).join("events/kmem/rss_stat");
    if !event.exists() {
        // Whether this succeeds shows in what is there afterwards.
        let mount = Command::new("mount")
            .args(["-t", "tracefs", "tracefs", TRACEFS])
            .output();
        if mount.is_err() || !event.exists() {
            return Err(format!(
                "{TRACEFS} cannot be mounted, or has no kmem:rss_stat"
            ));
        }
    }
    let mut perf = Command::new("perf");
    let try_out = perf
        .args(["stat", "-e", "kmem:rss_stat", "--", "true"])
        .output();
    match try_out {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err("perf is here but cannot count kmem:rss_stat".to_owned()),
    }
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

/// What stands after `key` and a colon, at the first line that has it.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim())
}
