//! One boot of a kernel in qemu, by software emulation: runs a list of jobs as root, one after the
//! other, and brings out what each printed and how it ended. Knows nothing of tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    image::{Initramfs, Kernel},
    tools::Tools,
};
use crate::arch::Arch;

/// Begins each line that is the guest's own word: no program prints it.
const MARK: &str = "\u{1}guest: ";

/// Modules of the disk and of the swap.
const MODULES: [&str; 5] = ["virtio_pci", "virtio_blk", "lzo", "lzo_rle", "zram"];

/// How often the guest's output is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// A machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// CPUs that there can be.
    pub(crate) possible: u32,
    /// CPUs that there are.
    pub(crate) online: u32,
}

impl Shape {
    /// One whose CPUs are all there.
    pub(crate) const fn whole(cpus: u32) -> Self {
        Self {
            possible: cpus,
            online: cpus,
        }
    }

    /// Memory, MiB: each CPU has its share of the tests' processes.
    fn memory(self) -> u32 {
        2048 + 64 * self.possible
    }
}

/// Something to do in the guest.
pub(crate) struct Job {
    pub(crate) name: String,
    /// The program, its path in the guest, and its arguments.
    pub(crate) argv: Vec<String>,
    /// It is ended after so many seconds.
    pub(crate) limit: u32,
}

/// What became of a job.
#[derive(Debug, PartialEq)]
pub(crate) struct Ran {
    pub(crate) name: String,
    /// All that it printed.
    pub(crate) text: String,
    /// Its exit code; `None` if the guest died with it.
    pub(crate) code: Option<i32>,
    /// How long it took by the guest's clock; `None` if the guest died with it.
    pub(crate) seconds: Option<f64>,
}

/// What became of a boot.
pub(crate) struct Boot {
    pub(crate) jobs: Vec<Ran>,
    /// Why it broke off, with the end of the kernel's log.
    pub(crate) broke_off: Option<String>,
}

/// A guest in the making.
pub(crate) struct Guest<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) kernel: &'a Kernel,
    pub(crate) disk: &'a Path,
    pub(crate) shape: Shape,
    /// Folder for the files of this boot.
    pub(crate) folder: &'a Path,
    /// Longest time of the whole boot.
    pub(crate) limit: Duration,
}

impl Guest<'_> {
    /// Boots it, runs the jobs, and ends it.
    pub(crate) fn run(&self, jobs: &[Job]) -> Result<Boot> {
        fs::create_dir_all(self.folder)
            .with_context(|| format!("cannot make {}", self.folder.display()))?;
        let script = script(jobs, self.machine());
        let initramfs = Initramfs {
            busybox: &self.tools.busybox,
            script: &script,
            modules: &MODULES,
        };
        fs::write(self.file("initramfs"), initramfs.pack(self.kernel)?)?;
        for name in ["console", "output"] {
            fs::write(self.file(name), "")?;
        }
        let started = Instant::now();
        let mut qemu = Qemu(self.start()?);
        let mut is_second = false;
        let why = loop {
            thread::sleep(GLANCE);
            let ended = qemu.0.try_wait()?;
            if self.output()?.contains(&format!("{MARK}done")) {
                break None;
            }
            if let Some(status) = ended {
                // Before the guest's first program said a word: an assertion of the emulator's own,
                // or a kernel that met an instruction which another CPU was just patching. No test
                // of ours has begun that could have failed.
                if !is_second && self.output()?.is_empty() {
                    is_second = true;
                    let name = self.folder.file_name().unwrap_or_default();
                    println!("{}: booted again ({status})", name.display());
                    qemu = Qemu(self.start()?);
                    continue;
                }
                break Some(format!("qemu ended ({status})"));
            }
            if started.elapsed() > self.limit {
                break Some(format!("stopped after {} s", self.limit.as_secs()));
            }
        };
        drop(qemu);
        let broke_off = why.map(|why| format!("{why}; the last it said:\n{}", self.last_words()));
        Ok(Boot {
            jobs: read(&self.output()?),
            broke_off,
        })
    }

    fn machine(&self) -> &'static Machine {
        match self.tools.arch {
            Arch::X86_64 => &X86_64,
            Arch::Aarch64 => &ARM64,
        }
    }

    fn start(&self) -> Result<Child> {
        let (program, arguments) = self.tools.qemu.split_first().context("no qemu")?;
        let Shape { possible, online } = self.shape;
        let path = |name: &str| self.file(name).display().to_string();
        let mut command = Command::new(program);
        command.args(arguments);
        let machine = self.machine();
        command.args(["-M", machine.board, "-cpu", machine.cpu]);
        command.args(["-accel", "tcg,thread=multi"]);
        command.args("-nodefaults -no-user-config -no-reboot -display none".split(' '));
        command.args(["-smp", &possible.to_string()]);
        command.args(["-m", &self.shape.memory().to_string()]);
        command.args(["-serial", &format!("file:{}", path("console"))]);
        command.args(["-serial", &format!("file:{}", path("output"))]);
        let disk = self.disk.display();
        let drive = format!("file={disk},format=raw,if=virtio,snapshot=on,cache=unsafe");
        command.args(["-drive", &drive]);
        command.arg("-kernel").arg(&self.kernel.image);
        command.args(["-initrd", &path("initramfs")]);
        let mut words = format!(
            "console={}0 quiet panic=-1 random.trust_cpu=on {}",
            machine.serial, machine.words
        );
        if online < possible {
            words += &format!(" maxcpus={online}");
        }
        command.args(["-append", &words]);
        if let Some(libraries) = &self.tools.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command.stdin(Stdio::null());
        command
            .spawn()
            .with_context(|| format!("cannot start {program}"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn output(&self) -> Result<String> {
        let bytes = fs::read(self.file("output")).context("cannot read the guest's output")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn last_words(&self) -> String {
        const LINES: usize = 40;
        let bytes = fs::read(self.file("console")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

/// What qemu and the kernel call things on a processor's machines.
struct Machine {
    board: &'static str,
    cpu: &'static str,
    /// Name of its serial lines: the first is the console, the second brings out what jobs print.
    serial: &'static str,
    /// Words for the kernel.
    words: &'static str,
}

const X86_64: Machine = Machine {
    board: "q35",
    cpu: "qemu64",
    serial: "ttyS",
    // The emulated clock is the machine's own, whatever an old kernel thinks of it.
    words: "reboot=t 8250.nr_uarts=4 tsc=reliable",
};

const ARM64: Machine = Machine {
    // The newest interrupt controller: older ones serve no more than eight CPUs.
    board: "virt,gic-version=max",
    cpu: "cortex-a57",
    serial: "ttyAMA",
    words: "",
};

/// A running qemu; none outlives its guest.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the guest does from its first program on. Twice the same script: in the initramfs, which
/// brings the disk in, and again on the disk.
fn script(jobs: &[Job], machine: &Machine) -> String {
    let mut text = SET_UP.to_owned();
    text += "{\n";
    for job in jobs {
        let argv: Vec<_> = job.argv.iter().map(|word| quoted(word)).collect();
        text += &format!(
            "say \"begin $(now) {}\"\ntimeout -s KILL {} {} 2>&1\nsay \"end $(now) $?\"\n",
            job.name,
            job.limit,
            argv.join(" ")
        );
    }
    text += "say done\n} </dev/null | cat >/dev/@SERIAL@1\nsleep 60\npoweroff -f\n";
    text.replace("@MARK@", MARK)
        .replace("@SERIAL@", machine.serial)
}

const SET_UP: &str = r#"#!/bin/busybox sh
if [ -d /modules ]; then
    /bin/busybox --install -s /bin
    export PATH=/bin
    mount -t devtmpfs dev /dev
    while read module; do insmod "/modules/$module"; done </modules/order
    mount -t ext4 /dev/vda /root
    cp /init /root/init
    umount /dev
    exec switch_root /root /init
fi
/bin/busybox --install -s /bin
export PATH=/usr/bin:/bin HOME=/root TERM=dumb MEMTRACE=/usr/bin/memtrace MEMTRACE_TEST_SLOWNESS=20 RUST_BACKTRACE=0
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devpts -o ptmxmode=666 pts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
mount -t securityfs security /sys/kernel/security
mount -t tracefs trace /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/tests
echo 0 >/sys/fs/cgroup/tests/cgroup.procs
echo always >/sys/kernel/mm/transparent_hugepage/enabled
echo 512M >/sys/block/zram0/disksize
mkswap /dev/zram0 >/dev/null
swapon /dev/zram0
stty -F /dev/@SERIAL@1 raw -echo
cd /live
now() { cut -d' ' -f1 /proc/uptime; }
say() { printf '\n@MARK@%s\n' "$1"; }
"#;

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Reads what the guest brought out.
fn read(output: &str) -> Vec<Ran> {
    let mut jobs: Vec<Ran> = vec![];
    let mut began = None;
    for part in output.split(&format!("\n{MARK}")).skip(1) {
        let (line, text) = part.split_once('\n').unwrap_or((part, ""));
        let mut words = line.split(' ');
        let (what, time) = (words.next(), words.next());
        let time = time.and_then(|time| time.parse::<f64>().ok());
        let rest = words.next().unwrap_or_default();
        match (what, time) {
            (Some("begin"), Some(time)) => {
                began = Some(time);
                jobs.push(Ran {
                    name: rest.to_owned(),
                    text: text.to_owned(),
                    code: None,
                    seconds: None,
                });
            }
            (Some("end"), Some(time)) => {
                if let Some(job) = jobs.last_mut() {
                    job.code = rest.parse().ok();
                    job.seconds = began.map(|began| time - began);
                }
            }
            _ => {}
        }
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_job_said_is_told_apart() {
        let text = format!(
            "noise\n{MARK}begin 1.50 one\nhello\nworld\n{MARK}end 3.00 101\n\
             \n{MARK}begin 3.00 two\nhalf a li"
        );
        let jobs = read(&text);
        assert_eq!(jobs.len(), 2);
        assert_eq!(jobs[0].text, "hello\nworld");
        assert_eq!((jobs[0].code, jobs[0].seconds), (Some(101), Some(1.5)));
        assert_eq!((jobs[1].name.as_str(), jobs[1].code), ("two", None));
        assert_eq!(jobs[1].text, "half a li");
    }

    #[test]
    fn words_reach_the_guest_as_they_are() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
        let job = Job {
            name: "one".to_owned(),
            argv: vec!["/bin/true".to_owned(), "a b".to_owned()],
            limit: 7,
        };
        let script = script(&[job], &ARM64);
        assert!(script.contains("timeout -s KILL 7 '/bin/true' 'a b' 2>&1\n"));
        assert!(script.contains("stty -F /dev/ttyAMA1 "));
        assert!(!script.contains('@'));
    }
}
