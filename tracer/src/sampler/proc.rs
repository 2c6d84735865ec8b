//! Files of `/proc`, read one after the other as a tool in user space has to.

use std::{collections::HashMap, fs, fs::File, io::Read};

use crate::host;

/// Reads files of processes, into one buffer again and again.
#[derive(Debug)]
pub struct Proc {
    page_bytes: u64,
    text: Vec<u8>,
}

/// What `smaps_rollup` sums up, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollup {
    /// Resident pages.
    pub rss_bytes: u64,
    /// The same, each divided by the number of those who have it mapped.
    pub pss_bytes: u64,
}

impl Default for Proc {
    fn default() -> Self {
        Self {
            page_bytes: host::page_bytes(),
            text: Vec::new(),
        }
    }
}

impl Proc {
    /// The text of a file of a process; `None` if the process is gone or does not show it.
    fn read(&mut self, pid: u32, file: &str) -> Option<&str> {
        self.text.clear();
        let mut file = File::open(format!("/proc/{pid}/{file}")).ok()?;
        file.read_to_end(&mut self.text).ok()?;
        std::str::from_utf8(&self.text).ok()
    }

    /// Resident memory as `statm` has it, bytes: 0 for a zombie.
    pub fn statm(&mut self, pid: u32) -> Option<u64> {
        let page_bytes = self.page_bytes;
        let resident = self.read(pid, "statm")?.split(' ').nth(1)?;
        Some(resident.parse::<u64>().ok()? * page_bytes)
    }

    /// Lines of `status` in KiB, as bytes; `None` if one of them is missing, as in a zombie.
    pub fn status<const N: usize>(&mut self, pid: u32, names: [&str; N]) -> Option<[u64; N]> {
        let text = self.read(pid, "status")?;
        let mut found = [0; N];
        for (place, name) in found.iter_mut().zip(names) {
            *place = kib(text, name)?;
        }
        Some(found)
    }

    /// The name of a process and its parent.
    pub fn name_and_parent(&mut self, pid: u32) -> Option<(String, u32)> {
        let stat = self.read(pid, "stat")?;
        let (before, _) = stat.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        Some((name.to_owned(), parent(stat)?))
    }

    /// What `smaps_rollup` says; `None` also if this user may not see it.
    pub fn rollup(&mut self, pid: u32) -> Option<Rollup> {
        let text = self.read(pid, "smaps_rollup")?;
        Some(Rollup {
            rss_bytes: kib(text, "Rss:")?,
            pss_bytes: kib(text, "Pss:")?,
        })
    }

    /// A process and all its descendants, found as psutil finds them: the parent of every process
    /// there is.
    pub fn tree(&mut self, root: u32) -> Vec<u32> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let Some(pid) = pid else { continue };
            if let Some(parent) = self.read(pid, "stat").and_then(parent) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let mut tree = vec![root];
        let mut next = 0;
        while let Some(pid) = tree.get(next) {
            tree.extend(children.remove(pid).unwrap_or_default());
            next += 1;
        }
        tree
    }
}

/// The parent in a line of `stat`: the second field behind the name, which may hold anything.
fn parent(stat: &str) -> Option<u32> {
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_whitespace().nth(1)?.parse().ok()
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number = line.trim().strip_suffix("kB")?.trim();
    Some(number.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_stands_behind_the_name_whatever_that_holds() {
        assert_eq!(parent("12 (a) S) R 7 12 12 0 -1"), Some(7));
        assert_eq!(parent("12 (sh) S 1 12"), Some(1));
        assert_eq!(parent("12 (sh"), None);
    }

    #[test]
    fn own_files_read_as_something() {
        let mut proc = Proc::default();
        let own = std::process::id();
        let [rss, mark] = proc.status(own, ["VmRSS:", "VmHWM:"]).unwrap();
        assert!(rss > 0 && mark >= rss / 2);
        assert!(proc.statm(own).unwrap() > 0);
        let rollup = proc.rollup(own).unwrap();
        assert!(rollup.pss_bytes <= rollup.rss_bytes && rollup.pss_bytes > 0);
        assert_eq!(proc.tree(own).first(), Some(&own));
        assert_eq!(proc.statm(u32::MAX), None);
    }
}
