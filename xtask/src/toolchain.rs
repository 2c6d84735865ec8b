//! The tools that build the kernel side: found, or installed where that is possible.
//!
//! Debian's rustc brings a ready `core` for `bpfel-unknown-none`, so neither a nightly compiler
//! nor its sources are needed. bpf-linker must use the same LLVM as that rustc.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::project::{self, Project};

const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
const CARGO_CLIPPY: &str = "/usr/bin/cargo-clippy";
const LLVM: &str = "/usr/lib/llvm-22";
/// What a bpf-linker that uses the LLVM above names as the library it needs.
const LLVM_LIBRARY: &[u8] = b"libLLVM.so.22.";
const RUSTC_RELEASE: &str = "1.96";
const BPF_LINKER: &str = "0.13.0";
const TARGET: &str = "bpfel-unknown-none";

/// The tools.
pub(crate) struct Toolchain {
    linker: PathBuf,
}

/// What decides the bytes of the object.
#[derive(PartialEq, Eq)]
pub(crate) struct Versions {
    /// As `rustc --version` says it.
    pub(crate) rustc: String,
    /// As `bpf-linker --version` says it.
    pub(crate) bpf_linker: String,
    /// The LLVM that both of them load.
    pub(crate) llvm: String,
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rustc {}, bpf-linker {}, LLVM {}",
            self.rustc, self.bpf_linker, self.llvm
        )
    }
}

impl Toolchain {
    /// Finds the tools; installs what is missing.
    pub(crate) fn ready(project: &Project) -> Result<Self> {
        let mut missing = vec![];
        if !has_compiler() {
            missing.extend(["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"]);
        }
        if !Path::new(LLVM).join("bin/llvm-objcopy").exists()
            || !Path::new(LLVM).join("bin/llvm-config").exists()
        {
            missing.push("llvm-22-dev");
        }
        install(&missing)?;
        if !has_compiler() {
            bail!(
                "{RUSTC} is not rustc {RUSTC_RELEASE} with `core` for {TARGET}, even with the \
                 packages installed: this Debian has moved on. See xtask/src/toolchain.rs"
            );
        }
        Ok(Self {
            linker: linker(project)?,
        })
    }

    /// Cargo of the kernel side's compiler, in its folder.
    pub(crate) fn cargo(&self, project: &Project) -> Command {
        self.prepared(CARGO, project)
    }

    /// Clippy of the kernel side's compiler, installed if it is missing.
    pub(crate) fn clippy(&self, project: &Project) -> Result<Command> {
        if !Path::new(CARGO_CLIPPY).exists() {
            install(&["rust-web-clippy"])?;
        }
        // Started by its path: as `cargo clippy`, the one of rustup would be found first.
        let mut command = self.prepared(CARGO_CLIPPY, project);
        command.arg("clippy");
        Ok(command)
    }

    /// Arguments of rustc for the kernel side, as cargo wants them in the environment.
    pub(crate) fn rust_flags(&self, project: &Project) -> Result<String> {
        let mut flags = vec![
            format!("-Clinker={}", self.linker.display()),
            "-Ctarget-cpu=v3".to_owned(),
            "-Clink-arg=--btf".to_owned(),
            // BTF is made from debug information.
            "-Cdebuginfo=2".to_owned(),
            "--cfg=bpf_target_arch=\"x86_64\"".to_owned(),
            // BTF's line information names source files: not by where they lie here.
            format!("--remap-path-prefix={}=/memtrace", project.root.display()),
        ];
        for folder in registry_folders()? {
            flags.push(format!(
                "--remap-path-prefix={}=/registry",
                folder.display()
            ));
        }
        Ok(flags.join("\u{1f}"))
    }

    /// Takes the debug information away; BTF stays.
    pub(crate) fn strip(&self, from: &Path, to: &Path) -> Result<()> {
        let mut objcopy = Command::new(Path::new(LLVM).join("bin/llvm-objcopy"));
        project::run(objcopy.arg("--strip-debug").arg(from).arg(to))
    }

    /// Versions of the tools found here.
    pub(crate) fn versions(&self) -> Result<Versions> {
        let rustc = project::output(Command::new(RUSTC).arg("--version"))?;
        let llvm_config = Path::new(LLVM).join("bin/llvm-config");
        Ok(Versions {
            rustc: rustc.trim_start_matches("rustc ").to_owned(),
            bpf_linker: linker_version(&self.linker)?,
            llvm: project::output(Command::new(llvm_config).arg("--version"))?,
        })
    }

    fn prepared(&self, program: &str, project: &Project) -> Command {
        let mut command = Command::new(program);
        project::without_cargo(&mut command);
        for name in [
            "RUSTUP_TOOLCHAIN",
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
        ] {
            command.env_remove(name);
        }
        command
            .current_dir(project.root.join("tracer-ebpf"))
            .env("CARGO", CARGO)
            .env("RUSTC", RUSTC)
            // The atomics with a result and the target itself are not stable.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_TARGET_DIR", project.target.join("bpf"));
        command
    }
}

fn has_compiler() -> bool {
    if !Path::new(RUSTC).exists() || !Path::new(CARGO).exists() {
        return false;
    }
    let version = project::output(Command::new(RUSTC).arg("--version"));
    let core =
        project::output(Command::new(RUSTC).args(["--print", "target-libdir", "--target", TARGET]));
    version.is_ok_and(|text| text.starts_with(&format!("rustc {RUSTC_RELEASE}.")))
        && core.is_ok_and(|folder| Path::new(&folder).exists())
}

/// Installs Debian packages.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    let by_hand = format!("apt-get update && apt-get install -y --no-install-recommends {list}");
    if project::find_program("apt-get").is_none() {
        bail!(
            "building the kernel side needs these packages of Debian 12: {list}; there is no \
             apt-get here. Plain `cargo build` needs none of them: the object is committed"
        );
    }
    if !project::is_root() {
        bail!("packages are missing; install them by: sudo sh -c '{by_hand}'");
    }
    eprintln!("toolchain: installing {list}");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("({by_hand}) >&2")])
        .env("DEBIAN_FRONTEND", "noninteractive");
    project::run(&mut shell).with_context(|| format!("cannot install {list}; tried: {by_hand}"))
}

/// A bpf-linker of the right version and LLVM: the user's own if it fits, else one built under
/// the target folder, so that nothing outside it changes.
fn linker(project: &Project) -> Result<PathBuf> {
    let own = project.target.join("tools");
    let built = own.join("bin/bpf-linker");
    for path in project::find_program("bpf-linker")
        .into_iter()
        .chain([built.clone()])
    {
        if linker_fits(&path) {
            return Ok(path);
        }
    }
    eprintln!("toolchain: building bpf-linker {BPF_LINKER}, once, in about two minutes");
    let mut cargo = project.cargo();
    cargo
        .env("LLVM_PREFIX", LLVM)
        .env("CARGO_TARGET_DIR", own.join("build"))
        .args([
            "install",
            "--locked",
            "--no-default-features",
            "--features",
            "llvm-22",
        ])
        .arg("--root")
        .arg(&own)
        .arg(format!("bpf-linker@{BPF_LINKER}"));
    project::run(&mut cargo)?;
    if !linker_fits(&built) {
        bail!("the bpf-linker just built does not load the LLVM of {LLVM}");
    }
    Ok(built)
}

fn linker_fits(path: &Path) -> bool {
    linker_version(path).is_ok_and(|version| version == BPF_LINKER)
        && fs::read(path).is_ok_and(|bytes| {
            bytes
                .windows(LLVM_LIBRARY.len())
                .any(|part| part == LLVM_LIBRARY)
        })
}

fn linker_version(path: &Path) -> Result<String> {
    let text = project::output(Command::new(path).arg("--version"))?;
    Ok(text.trim_start_matches("bpf-linker ").to_owned())
}

/// Folders that cargo unpacks crates into; their names depend on the registry's address.
fn registry_folders() -> Result<Vec<PathBuf>> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let folder = home
        .context("neither CARGO_HOME nor HOME is set")?
        .join("registry/src");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}
