//! Where reports go: places are checked before the run, written after it, and either hold a whole
//! report or are left as they were.

use std::{
    fs::{self, OpenOptions},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::ColorChoice;

/// A place for a report.
#[derive(Debug)]
pub enum Place {
    /// Standard output.
    Stdout,
    /// A regular file, new or to be replaced.
    File(PathBuf),
    /// Something else that can be written to: a device, a pipe.
    Special(PathBuf),
}

impl Place {
    /// Checks that a report can go to `path`, without touching what is there.
    ///
    /// # Errors
    ///
    /// With what is wrong and what to do.
    pub fn check(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                anyhow::bail!("{} is a folder. Name a file in it", path.display())
            }
            Ok(found) if !found.is_file() => Ok(Self::Special(path.to_owned())),
            _ => {
                let folder = folder(path);
                anyhow::ensure!(
                    folder.is_dir(),
                    "there is no folder {}. Make it first: mkdir -p {}",
                    folder.display(),
                    folder.display()
                );
                // Held for a moment only: a run that is killed leaves nothing behind.
                tempfile::NamedTempFile::new_in(folder)
                    .with_context(|| format!("no file can be made in {}", folder.display()))?;
                Ok(Self::File(path.to_owned()))
            }
        }
    }

    /// Writes the whole report, or nothing. Who reads stdout may have seen enough before its end.
    ///
    /// # Errors
    ///
    /// With the place and the reason.
    pub fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Stdout => match io::stdout().write_all(bytes) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => written.context("stdout cannot be written to"),
            },
            Self::Special(path) => OpenOptions::new()
                .write(true)
                .open(path)
                .and_then(|mut file| file.write_all(bytes))
                .with_context(|| format!("the report cannot be written to {}", path.display())),
            Self::File(path) => replace(path, bytes)
                .with_context(|| format!("the report cannot be written to {}", path.display())),
        }
    }
}

/// Whether text for `stream` is to have colours.
pub fn coloured(choice: ColorChoice, stream: &impl IsTerminal) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            stream.is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .tempfile_in(folder(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_is_named_with_what_to_do() {
        let text = Place::check(Path::new("/no/such/folder/x.json"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            text,
            "there is no folder /no/such/folder. Make it first: mkdir -p /no/such/folder"
        );
    }

    #[test]
    fn a_failed_write_leaves_the_old_report() {
        let text = Place::check(Path::new("/dev/full"))
            .unwrap()
            .write(b"x")
            .unwrap_err();
        assert!(format!("{text:#}").contains("/dev/full"), "{text:#}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let place = Place::check(&path).unwrap();
        assert!(!path.exists());
        place.write(b"one").unwrap();
        place.write(b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
