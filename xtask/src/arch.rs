//! Processors that memtrace is built for, and what building for another one than this machine's
//! takes: Rust's library for it, and a C compiler with its libraries.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    project::{self, Project},
    toolchain,
};

/// A processor's architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arch {
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    #[value(name = "aarch64", alias = "arm64")]
    Aarch64,
}

/// All of them.
pub(crate) const ALL: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

impl Arch {
    /// This machine's.
    pub(crate) const OWN: Self = if cfg!(target_arch = "aarch64") {
        Self::Aarch64
    } else {
        Self::X86_64
    };

    /// Its name in targets of Rust.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Its name in Debian.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// The loader of its programs, where every Linux has it.
    pub(crate) fn loader(self) -> &'static str {
        match self {
            Self::X86_64 => "/lib64/ld-linux-x86-64.so.2",
            Self::Aarch64 => "/lib/ld-linux-aarch64.so.1",
        }
    }

    /// The target of static programs, which bring their C library with them.
    pub(crate) fn static_target(self) -> String {
        format!("{}-unknown-linux-musl", self.name())
    }

    /// The target of programs that load Debian's C library.
    pub(crate) fn gnu_target(self) -> String {
        format!("{}-unknown-linux-gnu", self.name())
    }

    /// A program of the tools for C that Debian has for it on other machines.
    fn cross(self, program: &str) -> String {
        format!("{}-linux-gnu-{program}", self.name())
    }

    /// Finds what a target of it needs beside the compiler; installs what is missing.
    pub(crate) fn ready(self, project: &Project, target: &str) -> Result<()> {
        if !has_library(project, target) {
            ensure!(
                project::find_program("rustup").is_some(),
                "this compiler has no library for {target}, and there is no rustup here to get it \
                 with"
            );
            let mut rustup = Command::new("rustup");
            // The toolchain that the project is built with here, not another directory's.
            rustup.current_dir(&project.root);
            project::without_cargo(&mut rustup);
            project::run(rustup.args(["target", "add", target]))?;
            ensure!(
                has_library(project, target),
                "the compiler in use is not one of rustup's, and has no library for {target}"
            );
        }
        // The compressor of captures is C.
        let mut missing = vec![];
        if self == Self::OWN {
            let compiler = project::find_program("musl-gcc");
            missing.extend(compiler.is_none().then(|| "musl-tools".to_owned()));
        } else {
            let compiler = project::find_program(&self.cross("gcc"));
            let name = self.name().replace('_', "-");
            missing.extend(compiler.is_none().then(|| format!("gcc-{name}-linux-gnu")));
            let headers = format!("/usr/{}-linux-gnu/include/limits.h", self.name());
            let package = format!("libc6-dev-{}-cross", self.debian());
            missing.extend((!Path::new(&headers).exists()).then_some(package));
        }
        let missing: Vec<_> = missing.iter().map(String::as_str).collect();
        toolchain::install(&missing)
            .with_context(|| format!("building for {target} needs {}", missing.join(" and ")))
    }

    /// A cargo that can build for it.
    pub(crate) fn cargo(self, project: &Project) -> Command {
        let mut cargo = project.cargo();
        if self == Self::OWN {
            return cargo;
        }
        let (fixed, loading) = (self.static_target(), self.gnu_target());
        for target in [&fixed, &loading] {
            let target = target.replace('-', "_");
            cargo.env(format!("CC_{target}"), self.cross("gcc"));
            cargo.env(format!("AR_{target}"), self.cross("ar"));
        }
        let linker = |target: &str| {
            let target = target.replace('-', "_").to_uppercase();
            format!("CARGO_TARGET_{target}_LINKER")
        };
        // Rust brings musl itself, which Debian's linker driver would mix with its own library.
        cargo.env(linker(&fixed), "rust-lld");
        cargo.env(linker(&loading), self.cross("gcc"));
        cargo
    }

    /// Where this machine has a library of the C compiler's for it.
    pub(crate) fn library(self, name: &str) -> Result<PathBuf> {
        let mut gcc = Command::new(self.cross("gcc"));
        let path = project::output(gcc.arg(format!("-print-file-name={name}")))?;
        let path = PathBuf::from(path);
        ensure!(path.is_absolute(), "{} has no {name}", self.cross("gcc"));
        Ok(path)
    }
}

/// Whether the compiler that cargo takes has the standard library for the target.
fn has_library(project: &Project, target: &str) -> bool {
    let cargo = project.cargo();
    let beside = Path::new(cargo.get_program()).with_file_name("rustc");
    let rustc = if beside.is_file() {
        beside
    } else {
        "rustc".into()
    };
    let mut command = Command::new(rustc);
    command.args(["--print", "target-libdir", "--target", target]);
    project::output(&mut command).is_ok_and(|folder| Path::new(&folder).is_dir())
}

/// Whether a program loads no library: it names no loader.
pub(crate) fn is_static(program: &Path) -> bool {
    fs::read(program).is_ok_and(|bytes| names_no_loader(&bytes).unwrap_or(false))
}

/// Whether a 64-bit ELF file has no segment `PT_INTERP`; `None` if it is no such file.
fn names_no_loader(elf: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let half = |at: usize| Some(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(elf.get(at..at + 4)?.try_into().ok()?));
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    // Of `Elf64_Ehdr`: where the program headers are, how long each is, and how many there are.
    let first = usize::try_from(word(0x20)?).ok()?;
    let (bytes, count) = (usize::from(half(0x36)?), usize::from(half(0x38)?));
    let mut kinds = vec![];
    for index in 0..count {
        kinds.push(word(first + index * bytes)?);
    }
    Some(!kinds.contains(&PT_INTERP))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{is_static, names_no_loader};

    #[test]
    fn a_program_that_names_a_loader_is_not_static() {
        assert!(!is_static(Path::new("/bin/sh")), "this machine's shell");
        assert!(!is_static(Path::new("/etc/passwd")), "no program at all");
        let mut elf = vec![0; 64 + 2 * 56];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (elf[0x20], elf[0x36], elf[0x38]) = (64, 56, 2);
        (elf[64], elf[64 + 56]) = (1, 2);
        assert_eq!(names_no_loader(&elf), Some(true));
        elf[64 + 56] = 3;
        assert_eq!(names_no_loader(&elf), Some(false));
        assert_eq!(names_no_loader(&elf[..100]), None);
    }
}
