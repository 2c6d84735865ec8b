//! The kernel's log: what it says of kills for want of memory. Reads `/dev/kmsg` from where it is
//! opened on, judges nothing.
//!
//! A kill is told in several lines, with others in between: who asked (`invoked oom-killer`), the
//! cgroup's figures (`memory: usage`), whom it chose and why (`oom-kill:`), and each process that it
//! killed (`Killed process`). All but the last are left out if there are more than ten in five
//! seconds.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
};

use serde::{Deserialize, Serialize};

/// What the log says of one kill. What it does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OomReport {
    /// Pages that were asked for, as a power of two.
    pub order: Option<u32>,
    /// How they were asked for, as the kernel writes it.
    pub gfp_mask: Option<String>,
    /// `CONSTRAINT_NONE`, `CONSTRAINT_CPUSET`, `CONSTRAINT_MEMORY_POLICY`, `CONSTRAINT_MEMCG`.
    pub constraint: Option<String>,
    /// Cgroup whose limit was hit, below the root of its hierarchy; `None` if the machine was full.
    pub oom_memcg: Option<String>,
    /// Cgroup of the victim.
    pub task_memcg: Option<String>,
    /// What was used in the cgroup whose limit was hit, bytes.
    pub usage_bytes: Option<u64>,
    /// That limit, bytes.
    pub limit_bytes: Option<u64>,
    /// All processes of this cgroup were killed with the victim (`memory.oom.group`).
    pub group: Option<String>,
    /// PID, in the initial namespace, and name of the victim.
    pub chosen: Option<(u32, String)>,
    /// The same of each process that was killed.
    pub killed: Vec<(u32, String)>,
}

/// The log from some moment on.
#[derive(Debug)]
pub struct Log {
    file: File,
    reports: Vec<OomReport>,
}

impl Log {
    /// Opens it at its end.
    ///
    /// # Errors
    ///
    /// If it is not there or not for this user to read.
    pub fn open() -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            reports: Vec::new(),
        })
    }

    /// Reads what has come. It has to be done now and then: old lines give way to new ones.
    pub fn read(&mut self) {
        let mut line = [0; 8192];
        loop {
            match self.file.read(&mut line) {
                // A record for each call.
                Ok(0) => return,
                Ok(length) => self.take(&String::from_utf8_lossy(&line[..length])),
                // Lines were overwritten before they were read; the next one is whole.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// What it said.
    pub fn reports(&self) -> &[OomReport] {
        &self.reports
    }

    fn take(&mut self, record: &str) {
        // Level, number and time, then the text; lines after it begin with a blank.
        if let Some((_, text)) = record.split_once(';') {
            take(text.lines().next().unwrap_or_default(), &mut self.reports);
        }
    }
}

/// Takes a line in.
fn take(line: &str, reports: &mut Vec<OomReport>) {
    if let Some((_, asked)) = line.split_once(" invoked oom-killer: ") {
        reports.push(OomReport {
            order: field(asked, "order=").and_then(|order| order.parse().ok()),
            gfp_mask: gfp_mask(asked),
            ..OomReport::default()
        });
        return;
    }
    if let Some(chosen) = line.strip_prefix("oom-kill:") {
        // The names of cgroups may hold commas: each ends where the next field begins.
        let between = |from: &str, to: &str| {
            let rest = chosen.split_once(from)?.1;
            Some(rest.split_once(to)?.0.to_owned())
        };
        let report = open(reports);
        report.constraint = field(chosen, "constraint=").map(str::to_owned);
        report.oom_memcg = between(",oom_memcg=", ",task_memcg=");
        report.task_memcg = between(",task_memcg=", ",task=");
        report.chosen = chosen
            .rsplit_once(",task=")
            .and_then(|(_, task)| task.rsplit_once(",uid=")?.0.rsplit_once(",pid="))
            .and_then(|(name, pid)| Some((pid.parse().ok()?, name.to_owned())));
    } else if let Some((_, killed)) = line.split_once(": Killed process ") {
        if let Some(killed) = victim(killed) {
            // Of a group, or of one whose beginning was left out.
            let goes_on = reports
                .last()
                .is_some_and(|last| last.killed.is_empty() || last.group.is_some());
            if !goes_on {
                reports.push(OomReport::default());
            }
            open(reports).killed.push(killed);
        }
    } else if let Some(usage) = line.strip_prefix("memory: usage ") {
        let kib = |text: &str| Some(text.strip_suffix("kB")?.parse::<u64>().ok()? * 1024);
        let report = open(reports);
        report.usage_bytes = usage.split(',').next().and_then(kib);
        report.limit_bytes = field(usage, "limit ").and_then(kib);
    } else if let Some(group) = line
        .strip_prefix("Tasks in ")
        .and_then(|rest| rest.strip_suffix(" are going to be killed due to memory.oom.group set"))
    {
        open(reports).group = Some(group.to_owned());
    }
}

/// The report that lines belong to now.
fn open(reports: &mut Vec<OomReport>) -> &mut OomReport {
    if reports.is_empty() {
        reports.push(OomReport::default());
    }
    let last = reports.len() - 1;
    &mut reports[last]
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split_once(name)?.1.split(',').next()
}

/// `0xcc0(GFP_KERNEL|__GFP_COMP)`: what stands before the next field, which is of the order.
fn gfp_mask(text: &str) -> Option<String> {
    let mask = text.strip_prefix("gfp_mask=")?;
    Some(mask.split_once(", ")?.0.to_owned())
}

/// `11057 (pages) total-vm:165072kB, ...`; the name may hold brackets and blanks.
fn victim(text: &str) -> Option<(u32, String)> {
    let (pid, rest) = text.split_once(" (")?;
    let (name, _) = rest.split_once(") total-vm:")?;
    Some((pid.parse().ok()?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(lines: &[&str]) -> Vec<OomReport> {
        let mut reports = Vec::new();
        lines.iter().for_each(|line| take(line, &mut reports));
        reports
    }

    #[test]
    fn a_kill_at_a_limit() {
        // As Linux 6.18 wrote it.
        let found = reports(&[
            "pages invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
            "CPU: 0 UID: 0 PID: 11057 Comm: pages Not tainted 6.18.44 #1 PREEMPT(none) ",
            "memory: usage 65536kB, limit 65536kB, failcnt 85",
            "Memory cgroup stats for /memtrace-oom-11050:",
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,\
             oom_memcg=/a,b/c,task_memcg=/a,b/c/d,task=pages,pid=11057,uid=0",
            "Memory cgroup out of memory: Killed process 11057 (pages) total-vm:165072kB, \
             anon-rss:59008kB, file-rss:1836kB, shmem-rss:0kB, UID:0 pgtables:164kB oom_score_adj:0",
        ]);
        let told = OomReport {
            order: Some(0),
            gfp_mask: Some("0xcc0(GFP_KERNEL)".to_owned()),
            constraint: Some("CONSTRAINT_MEMCG".to_owned()),
            oom_memcg: Some("/a,b/c".to_owned()),
            task_memcg: Some("/a,b/c/d".to_owned()),
            usage_bytes: Some(64 << 20),
            limit_bytes: Some(64 << 20),
            group: None,
            chosen: Some((11_057, "pages".to_owned())),
            killed: vec![(11_057, "pages".to_owned())],
        };
        assert_eq!(found, [told]);
    }

    #[test]
    fn a_group_is_one_kill_and_those_without_a_beginning_are_several() {
        let killed = |pid: u32| {
            format!("Memory cgroup out of memory: Killed process {pid} (a) b) total-vm:1kB, anon")
        };
        let [first, second, third] = [1, 2, 3].map(killed);
        let found = reports(&[
            "x invoked oom-killer: gfp_mask=0x1(A|B), order=2, oom_score_adj=0",
            &first,
            "Tasks in /g are going to be killed due to memory.oom.group set",
            &first,
            &second,
            "x invoked oom-killer: gfp_mask=0x1(A|B), order=0, oom_score_adj=0",
            &second,
            &third,
        ]);
        let pids = |at: usize| -> Vec<u32> { found[at].killed.iter().map(|of| of.0).collect() };
        assert_eq!(found.len(), 3);
        assert_eq!(
            (pids(0), pids(1), pids(2)),
            (vec![1, 1, 2], vec![2], vec![3])
        );
        assert_eq!(found[0].group.as_deref(), Some("/g"));
        assert_eq!((found[0].order, found[2].order), (Some(2), None));
        assert_eq!(found[0].killed[0].1, "a) b");
    }

    #[test]
    fn a_full_machine_has_no_cgroup() {
        let found = reports(&[
            "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,\
             global_oom,task_memcg=/user,task=java,pid=7,uid=0",
            "Out of memory: Killed process 7 (java) total-vm:1kB, anon-rss:1kB",
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].oom_memcg, None);
        assert_eq!(found[0].task_memcg.as_deref(), Some("/user"));
        assert_eq!(found[0].killed, [(7, "java".to_owned())]);
        assert_eq!(found[0].chosen.as_ref(), found[0].killed.first());
    }
}
