//! Where the project's files are, and how other programs are started.

use std::{
    env,
    ffi::OsStr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

/// The two folders that everything is found from.
pub(crate) struct Project {
    /// The top of the source.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
}

impl Project {
    /// Asks the environment that `cargo xtask` sets.
    pub(crate) fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let root = manifest.as_deref().and_then(Path::parent);
        let root = root
            .context("start this through cargo: `cargo xtask ...`")?
            .to_owned();
        // This program is TARGET/debug/xtask. Asking where it is obeys every way of setting the
        // target folder.
        let program = env::current_exe().context("cannot find this program's own path")?;
        let target = program
            .ancestors()
            .nth(2)
            .context("this program is in no target folder")?;
        Ok(Self {
            root,
            target: target.to_owned(),
        })
    }

    /// The committed object.
    pub(crate) fn object(&self) -> PathBuf {
        self.root.join("tracer/bpf/memtrace.bpf.o")
    }

    /// A binary of the release profile.
    pub(crate) fn release(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// `path` as messages show it: relative to where the user most likely is.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }

    /// The cargo that started us, at the top of the source.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .current_dir(&self.root)
            .env("CARGO_TERM_COLOR", "never");
        // The same target folder, even where it was set on our cargo's command line.
        command.env("CARGO_TARGET_DIR", &self.target);
        // Where rustup has no rustdoc in PATH, cargo would take that of another compiler.
        let rustdoc = Path::new(command.get_program()).with_file_name("rustdoc");
        if rustdoc.is_file() {
            command.env("RUSTDOC", rustdoc);
        }
        without_cargo(&mut command);
        command
    }
}

/// Takes away what the cargo that started us put into the environment. Another cargo must not
/// be led by it, and a traced command must not see it.
pub(crate) fn without_cargo(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"]
            .iter()
            .any(|p| name.starts_with(p))
            || ["CARGO", "CARGO_CRATE_NAME", "RUST_RECURSION_COUNT"].contains(&name)
        {
            command.env_remove(name);
        }
    }
    // Cargo puts its target folder and the compiler's libraries before what the user had.
    let Some(paths) = env::var_os("LD_LIBRARY_PATH") else {
        return;
    };
    let program = env::current_exe().unwrap_or_default();
    let ours = program.parent().unwrap_or(Path::new("/"));
    let own = |path: &PathBuf| {
        path.starts_with(ours)
            || path.join("rustlib").is_dir()
            || path.components().any(|part| part.as_os_str() == "rustlib")
    };
    let kept: Vec<_> = env::split_paths(&paths).filter(|path| !own(path)).collect();
    match env::join_paths(&kept) {
        Ok(paths) if !paths.is_empty() => command.env("LD_LIBRARY_PATH", paths),
        _ => command.env_remove("LD_LIBRARY_PATH"),
    };
}

/// Whether we have user id 0.
pub(crate) fn is_root() -> bool {
    Path::new("/proc/self")
        .metadata()
        .is_ok_and(|entry| entry.uid() == 0)
}

/// The program `name` in `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    env::split_paths(&paths)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// `program`, to be started as root: by itself if we are root, else by sudo with the caller's
/// environment. sudo replaces `PATH` even then, so it is handed over by name.
pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Result<Command> {
    if is_root() {
        return Ok(Command::new(program));
    }
    ensure!(
        find_program("sudo").is_some(),
        "this needs root, and there is no sudo here: run it again as root"
    );
    let mut path = std::ffi::OsString::from("PATH=");
    path.push(env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("sudo");
    command
        .args(["--preserve-env", "--", "env"])
        .arg(path)
        .arg(program);
    Ok(command)
}

/// Runs `command` and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    ensure!(status.success(), "{} failed: {status}", described(command));
    Ok(())
}

/// Runs `command` to its end.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    command
        .status()
        .with_context(|| format!("cannot start {}", described(command)))
}

/// What `command` prints, without the last line break.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", described(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}", described(command), output.status);
    }
    let text = String::from_utf8(output.stdout).context("its output is not UTF-8")?;
    Ok(text.trim_end().to_owned())
}

/// The name of the program and its first words.
fn described(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let words = command.get_args().take(3).map(OsStr::to_string_lossy);
    let words: Vec<_> = std::iter::once(program.to_string_lossy())
        .chain(words)
        .collect();
    format!("`{}`", words.join(" "))
}
