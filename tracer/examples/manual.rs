//! Writes memtrace's manual page and its completions for shells into a folder, from the command
//! line's own definition: `cargo xtask dist` packs them.

use std::{env, fs, path::PathBuf};

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use memtrace::cli::Arguments;

fn main() -> anyhow::Result<()> {
    let folder = env::args_os().nth(1).context("name a folder to write to")?;
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder)?;
    let mut page = Vec::new();
    Man::new(Arguments::command()).render(&mut page)?;
    fs::write(folder.join("memtrace.1"), page)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Arguments::command(), "memtrace", &folder)?;
    }
    Ok(())
}
