//! What a guest boots: a kernel unpacked from its packages, an initramfs made for one boot, and a
//! disk with the tests that all guests share. Knows file formats; starts no guest.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{arch::Arch, project};

/// Where a bzImage says how many sectors its setup has, where its payload begins after them, and
/// how long that is: Linux, Documentation/arch/x86/boot.rst.
const SETUP_SECTORS: usize = 0x1f1;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

/// First bytes of a compressed file, and the program that unpacks it.
const COMPRESSIONS: [(&[u8], &str); 4] = [
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x1f\x8b", "gzip"),
];

/// A kernel's files.
pub(crate) struct Kernel {
    /// The kernel itself. For x86-64 as an ELF file: a guest need not unpack it, slowly, once more.
    pub(crate) image: PathBuf,
    modules: PathBuf,
}

impl Kernel {
    /// Finds them where a kernel's packages were unpacked.
    pub(crate) fn open(folder: &Path, arch: Arch) -> Result<Self> {
        let mut files = vec![];
        walk(folder, &mut files)?;
        let compressed = files
            .iter()
            .find(|path| named(path).starts_with("vmlinuz"))
            .with_context(|| format!("no kernel under {}", folder.display()))?;
        let image = match arch {
            Arch::X86_64 => folder.join("vmlinux"),
            // Not compressed, or in a way that qemu knows.
            Arch::Aarch64 => compressed.clone(),
        };
        if !image.exists() {
            let packed = fs::read(compressed)
                .with_context(|| format!("cannot read {}", compressed.display()))?;
            let part = folder.join("vmlinux.part");
            fs::write(
                &part,
                unpacked(payload(&packed)?, OsStr::new("the kernel"))?,
            )?;
            fs::rename(&part, &image)?;
        }
        Ok(Self {
            image,
            modules: folder.to_owned(),
        })
    }

    /// Modules with all that they need, each after what it needs; what the kernel has built in is
    /// not among them.
    fn modules(&self, wanted: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut files = vec![];
        walk(&self.modules, &mut files)?;
        let mut loaded = vec![];
        let mut seen = BTreeSet::new();
        for name in wanted {
            add_module(name, &files, &mut seen, &mut loaded)?;
        }
        Ok(loaded)
    }
}

fn add_module(
    name: &str,
    files: &[PathBuf],
    seen: &mut BTreeSet<String>,
    loaded: &mut Vec<(String, Vec<u8>)>,
) -> Result<()> {
    let name = name.replace('-', "_");
    if !seen.insert(name.clone()) {
        return Ok(());
    }
    let is_it = |path: &&PathBuf| {
        let file = named(path);
        file.split_once(".ko")
            .is_some_and(|(stem, _)| stem.replace('-', "_") == name)
    };
    let Some(path) = files.iter().find(is_it) else {
        return Ok(());
    };
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let bytes = if bytes.starts_with(b"\x7fELF") {
        bytes
    } else {
        unpacked(&bytes, path.as_os_str())?
    };
    for needed in needs(&bytes) {
        add_module(&needed, files, seen, loaded)?;
    }
    loaded.push((format!("{name}.ko"), bytes));
    Ok(())
}

/// Modules that a module says it needs.
fn needs(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|part| part == KEY) else {
        return vec![];
    };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next();
    let text = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    let names = text.split(',').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// The compressed kernel inside a bzImage.
fn payload(image: &[u8]) -> Result<&[u8]> {
    let number = |at: usize| {
        let bytes = image.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let part = || {
        let sectors = match *image.get(SETUP_SECTORS)? {
            0 => 4,
            sectors => usize::from(sectors),
        };
        let from = (sectors + 1) * 512 + number(PAYLOAD_OFFSET)?;
        // The last four bytes tell how long it is when unpacked.
        image.get(from..from + number(PAYLOAD_LENGTH)?.checked_sub(4)?)
    };
    part().context("this is no bzImage")
}

fn unpacked(bytes: &[u8], what: &OsStr) -> Result<Vec<u8>> {
    let what = what.to_string_lossy();
    let known = COMPRESSIONS
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic));
    let (_, program) = known.with_context(|| format!("{what}: an unknown compression"))?;
    ensure!(
        project::find_program(program).is_some(),
        "{what} needs {program} to be unpacked, and there is none here"
    );
    let mut child = Command::new(program)
        .args(["-d", "-c", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let mut input = child.stdin.take().context("its stdin is a pipe")?;
    let output = std::thread::scope(|scope| {
        // It may end before it has read what follows the compressed data: then it tells why.
        scope.spawn(move || input.write_all(bytes));
        child.wait_with_output()
    })?;
    if !output.stdout.starts_with(b"\x7fELF") {
        bail!("{program} does not unpack {what}");
    }
    Ok(output.stdout)
}

/// What the guest's first program is given.
pub(crate) struct Initramfs<'a> {
    pub(crate) busybox: &'a Path,
    /// What the guest does.
    pub(crate) script: &'a str,
    /// Modules that it needs, where they are not built in.
    pub(crate) modules: &'a [&'a str],
}

impl Initramfs<'_> {
    /// The archive, as the kernel reads it.
    pub(crate) fn pack(&self, kernel: &Kernel) -> Result<Vec<u8>> {
        let busybox = fs::read(self.busybox)
            .with_context(|| format!("cannot read {}", self.busybox.display()))?;
        let mut archive = Archive::default();
        for folder in ["bin", "dev", "proc", "sys", "modules", "root"] {
            archive.add(folder, Archive::FOLDER, b"");
        }
        archive.add("bin/busybox", Archive::PROGRAM, &busybox);
        let mut order = String::new();
        for (name, bytes) in kernel.modules(self.modules)? {
            archive.add(&format!("modules/{name}"), Archive::FILE, &bytes);
            order += &format!("{name}\n");
        }
        archive.add("modules/order", Archive::FILE, order.as_bytes());
        archive.add("init", Archive::PROGRAM, self.script.as_bytes());
        Ok(archive.finish())
    }
}

/// A cpio archive in the form `newc`.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    const FOLDER: u32 = 0o040_755;
    const PROGRAM: u32 = 0o100_755;
    const FILE: u32 = 0o100_644;

    fn add(&mut self, name: &str, mode: u32, data: &[u8]) {
        self.entries += 1;
        let length = u32::try_from(data.len()).expect("a file of less than 4 GiB");
        let name_length = u32::try_from(name.len() + 1).expect("a short name");
        let links = 1;
        let (owner, group, time, device, check) = (0, 0, 0, 0, 0);
        let fields = [
            self.entries,
            mode,
            owner,
            group,
            links,
            time,
            length,
            device,
            device,
            device,
            device,
            name_length,
            check,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(data);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, b"");
        self.bytes
    }
}

/// All files under a folder.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn named(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_as_the_kernel_reads_it() {
        let mut archive = Archive::default();
        archive.add("init", Archive::PROGRAM, b"hello");
        let bytes = archive.finish();
        assert_eq!(&bytes[..22], b"07070100000001000081ED");
        assert_eq!(&bytes[110..115], b"init\0");
        assert_eq!(&bytes[116..124], b"hello\0\0\0");
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn a_module_tells_what_it_needs() {
        assert_eq!(needs(b"x\0depends=a,b_c\0name=x\0"), ["a", "b_c"]);
        assert!(needs(b"x\0depends=\0name=x\0").is_empty());
        assert!(needs(b"nothing").is_empty());
    }

    #[test]
    fn a_payload_is_found_behind_the_setup() {
        let mut image = vec![0; 1024 + 16 + 12];
        image[SETUP_SECTORS] = 1;
        image[PAYLOAD_OFFSET] = 16;
        image[PAYLOAD_LENGTH] = 12;
        image[1040..1048].copy_from_slice(b"payload!");
        assert_eq!(payload(&image).expect("a payload"), b"payload!");
        assert!(payload(&image[..1000]).is_err());
    }
}
