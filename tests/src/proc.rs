//! What `/proc` says of a process that stands still, read without touching a new page.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::FileExt,
    sync::OnceLock,
    thread,
};

use crate::{
    sys::memory::{self, page_bytes},
    truth::Level,
};

/// Before Linux 6.2 each thread counts some of its faults apart from its space (`sync_mm_rss`,
/// memory.c), and what the kernel says of resident memory lacks them.
pub fn counts_by_thread() -> bool {
    kernel_version() < (6, 2)
}

/// The running kernel's version and patch level.
pub fn kernel_version() -> (u32, u32) {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
        let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
        let mut next = || numbers.next().and_then(Result::ok).expect("a version");
        (next(), next())
    })
}

/// By how much the kernel's figure of one process may be off: each CPU holds back at most one page
/// less than a batch of each of three counters (`lib/percpu_counter.c`).
pub fn slack_bytes() -> u64 {
    let cpus = thread::available_parallelism().expect("CPUs").get() as u64;
    3 * cpus * ((2 * cpus).max(32) - 1) * page_bytes() as u64
}

/// Reads small files of `/proc` into memory of its own.
#[derive(Debug)]
pub struct Reader {
    buffer: [u8; 4096],
}

impl Default for Reader {
    fn default() -> Self {
        Self { buffer: [1; 4096] }
    }
}

impl Reader {
    fn file(&mut self, path: &str) -> &str {
        let text = self.try_file(path);
        text.unwrap_or_else(|| panic!("{path}: its process is gone"))
    }

    /// `None` if its process has no memory any more.
    fn try_file(&mut self, path: &str) -> Option<&str> {
        let mut length = 0;
        let mut file = File::open(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        loop {
            match file.read(&mut self.buffer[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return None,
                Err(error) => panic!("{path}: {error}"),
            }
        }
        let text = std::str::from_utf8(&self.buffer[..length]);
        Some(text.expect("/proc is text"))
    }

    /// Resident memory of a process by its page tables where the kernel's count lacks what threads
    /// have not handed in, else by that count, bytes. `folder` is the process's in `/proc`.
    fn resident(&mut self, folder: &str) -> u64 {
        // A path on the stack: the callers count their pages.
        let mut path = [0_u8; 40];
        let room = path.len();
        let mut rest = &mut path[..];
        let by_thread = counts_by_thread();
        let name = if by_thread { "smaps_rollup" } else { "statm" };
        write!(rest, "{folder}/{name}").expect("room for a path");
        let length = room - rest.len();
        let path = std::str::from_utf8(&path[..length]).expect("text");
        if by_thread {
            // A zombie has no such file to read.
            let rollup = self.try_file(path);
            rollup.map_or(0, |rollup| bytes_of(rollup, "Rss:"))
        } else {
            self.statm(path)
        }
    }

    /// Resident field of `statm`, bytes.
    fn statm(&mut self, path: &str) -> u64 {
        let resident = self
            .file(path)
            .split(' ')
            .nth(1)
            .and_then(|text| text.parse::<u64>().ok());
        resident.expect("statm has a second number") * page_bytes() as u64
    }

    /// Resident bytes of this process.
    pub fn own_rss(&mut self) -> u64 {
        self.resident("/proc/self")
    }

    /// Resident bytes of a process; 0 for a zombie.
    pub fn rss(&mut self, pid: u32) -> u64 {
        // A path on the stack: the callers count their pages.
        let mut folder = [0_u8; 20];
        let room = folder.len();
        let mut rest = &mut folder[..];
        write!(rest, "/proc/{pid}").expect("room for a PID");
        let length = room - rest.len();
        self.resident(std::str::from_utf8(&folder[..length]).expect("text"))
    }

    /// Resident bytes of this process, of one thread, by class. Its resident memory otherwise read
    /// must agree with the sum.
    pub fn own_level(&mut self) -> Level {
        // Once for practice: the first time, reading itself adds pages between the two.
        self.own_split();
        self.own_rss();
        if counts_by_thread() {
            memory::hand_in_counts();
        }
        let level = self.own_split();
        assert_eq!(
            self.own_rss(),
            level.rss_bytes,
            "two of the kernel's figures differ: not exact here"
        );
        level
    }

    fn own_split(&mut self) -> Level {
        let status = self.file("/proc/self/status");
        let of = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .expect("a field");
            let kib = line.trim().strip_suffix(" kB").expect("kB").parse::<u64>();
            kib.expect("a number") * 1024
        };
        Level {
            rss_bytes: of("VmRSS:"),
            anon_bytes: of("RssAnon:"),
            file_bytes: of("RssFile:"),
            shmem_bytes: of("RssShmem:"),
        }
    }

    /// Bytes of this process's anonymous memory that lie in huge pages.
    pub fn own_huge_bytes(&mut self) -> u64 {
        self.rolled_up("AnonHugePages:")
    }

    /// Bytes of this process's memory that are in swap.
    pub fn own_swap_bytes(&mut self) -> u64 {
        self.rolled_up("Swap:")
    }

    fn rolled_up(&mut self, name: &str) -> u64 {
        bytes_of(self.file("/proc/self/smaps_rollup"), name)
    }
}

/// Bytes behind a name in `smaps_rollup`.
fn bytes_of(rollup: &str, name: &str) -> u64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("a line of smaps_rollup") * 1024
}

/// Memory in page frames, each counted once, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Anonymous.
    pub anon_bytes: u64,
    /// Of files and shared memory.
    pub other_bytes: u64,
}

/// The page frames that some processes have mapped, as their page tables tell.
pub fn frames(pids: &[u32]) -> Frames {
    /// Of an entry of `pagemap`: the number of the frame, and what the bits mean.
    const FRAME: u64 = (1 << 55) - 1;
    const OF_FILE: u64 = 1 << 61;
    const PRESENT: u64 = 1 << 63;
    let (mut anon, mut other) = (HashSet::new(), HashSet::new());
    for pid in pids {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("maps");
        let pagemap = File::open(format!("/proc/{pid}/pagemap")).expect("pagemap");
        for line in maps.lines().filter(|line| !line.ends_with("[vsyscall]")) {
            let (from, to) = line
                .split_once(' ')
                .expect("a range")
                .0
                .split_once('-')
                .expect("two");
            let page =
                |address| u64::from_str_radix(address, 16).expect("hex") / page_bytes() as u64;
            let mut entries = vec![0; (page(to) - page(from)) as usize * 8];
            pagemap
                .read_exact_at(&mut entries, page(from) * 8)
                .expect("entries");
            let (entries, _) = entries.as_chunks::<8>();
            for entry in entries.iter().map(|bytes| u64::from_le_bytes(*bytes)) {
                let frames = if entry & OF_FILE == 0 {
                    &mut anon
                } else {
                    &mut other
                };
                if entry & PRESENT != 0 {
                    frames.insert(entry & FRAME);
                }
            }
        }
    }
    assert!(!anon.contains(&0), "frames are hidden from this user");
    let bytes = |frames: &HashSet<u64>| (frames.len() * page_bytes()) as u64;
    Frames {
        anon_bytes: bytes(&anon),
        other_bytes: bytes(&other),
    }
}

/// Anonymous resident memory of a process, bytes.
pub fn anon(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("RssAnon") * 1024
}

/// A process as `/proc/PID/stat` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// PID.
    pub pid: u32,
    /// `R`, `S`, `T`, `Z` ...
    pub state: char,
    /// Parent.
    pub parent: u32,
    /// Process group.
    pub group: u32,
}

fn stat(path: &str) -> Option<Stat> {
    let text = fs::read_to_string(path).ok()?;
    let (pid, rest) = text.split_once(" (")?;
    // The name in brackets may itself hold brackets and spaces.
    let mut fields = rest[rest.rfind(')')? + 2..].split(' ');
    Some(Stat {
        pid: pid.parse().ok()?,
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
    })
}

fn processes() -> impl Iterator<Item = Stat> {
    let entries = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let pids = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    pids.filter_map(|pid| stat(&format!("/proc/{pid}/stat")))
}

/// Processes of a group, zombies among them.
pub fn group_members(group: u32) -> Vec<Stat> {
    processes().filter(|stat| stat.group == group).collect()
}

/// Name of a process as the kernel has it; empty for one that is gone.
pub fn comm(pid: u32) -> String {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
    comm.map_or(String::new(), |comm| comm.trim_end().to_owned())
}

/// Children of a process.
pub fn children(parent: u32) -> Vec<u32> {
    processes()
        .filter(|stat| stat.parent == parent)
        .map(|stat| stat.pid)
        .collect()
}

/// States of all threads of a process; empty if it is gone.
pub fn thread_states(pid: u32) -> Vec<char> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let tids = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().into_string().ok());
    tids.filter_map(|tid| stat(&format!("/proc/{pid}/task/{tid}/stat")))
        .map(|s| s.state)
        .collect()
}

/// Ids after `field` (`map_id`, `prog_id`, `link_id`) in the descriptors of a process.
pub fn bpf_ids(pid: u32, field: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return Vec::new();
    };
    let texts = entries
        .filter_map(Result::ok)
        .filter_map(|e| fs::read_to_string(e.path()).ok());
    let prefix = format!("{field}:");
    let ids = texts.filter_map(|text| {
        text.lines()
            .find_map(|line| line.strip_prefix(&prefix)?.trim().parse().ok())
    });
    ids.collect()
}
