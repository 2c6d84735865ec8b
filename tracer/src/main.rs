//! `memtrace`: reads the command line, forks the holder of the command before anything else
//! exists, traces, writes the reports, and ends as the command did.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context as _;
use memtrace::{
    capture::Destination,
    cgroup::{self, Wanted},
    check,
    cli::{Action, Arguments},
    command::{holder::Holder, identity::Identity, reaped::reap},
    copies::Copies,
    event::EndReason,
    failure::{Failure, code},
    functions::{self, Function},
    judge,
    kernel::{facts::Facts, privilege},
    mark,
    output::{Place, coloured},
    readings, replay,
    report::schema::{BudgetVerdict, Exit, Report},
    session::{self, How, What},
    units::Bytes,
    unprivileged,
};
use nix::unistd::{Pid, Uid};

fn main() -> ExitCode {
    let arguments = Arguments::read();
    match act(&arguments) {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    }
}

fn act(arguments: &Arguments) -> Result<ExitCode, Failure> {
    arguments.validate()?;
    match &arguments.action {
        Some(Action::Check(asked)) if asked.facts => return tell_facts(),
        Some(Action::Check(_)) => return tell_check(),
        Some(Action::Mark(asked)) => {
            mark::mark_target(asked.name.as_deref(), asked.end);
            return Ok(ExitCode::SUCCESS);
        }
        Some(Action::Report(asked)) => return replay::run(asked).map(|()| ExitCode::SUCCESS),
        Some(Action::Judge(asked)) => return judge::action::run(asked),
        None => {}
    }
    let copies = Copies::check(&arguments.copies)?;
    if arguments.unprivileged {
        let identity = Identity::of_run(arguments.user.as_deref()).map_err(anyhow::Error::from)?;
        let every = arguments.every.unwrap_or(unprivileged::EVERY);
        let report = unprivileged::run(
            &arguments.command,
            identity.as_ref(),
            every,
            arguments.max_peak,
        )?;
        tell(arguments, &report, None, &copies)?;
        return Ok(ExitCode::from(exit_code(&report, report.exit)));
    }
    privileged(arguments)?;
    let capture = arguments.capture.as_deref().map(Destination::open);
    let capture = capture.transpose()?;
    let how = How {
        functions: functions(arguments)?,
        follow: !arguments.no_follow,
        duration: arguments.duration,
        quantum_bytes: arguments.quantum,
        programs_are_phases: arguments.phase_exec,
        tells_syscalls: arguments.syscalls,
        counts_once: arguments.count_once,
        max_peak_bytes: arguments.max_peak,
        fault_latency: arguments.fault_latency,
        self_stats: arguments.self_stats,
        ring_bytes: arguments.ring,
        status_line: !arguments.quiet,
        samplers: None,
    };
    let outcome = session::run(what(arguments)?, how, capture)?;
    let captured = arguments.capture.as_deref();
    let captured = captured.filter(|_| outcome.captured.is_ok());
    let told = tell(arguments, &outcome.report, captured, &copies);
    let exit = match outcome.unfinished {
        // The report is out; the command goes on, and its end is still this one's.
        Some(pid) if outcome.report.ended_by == Some(EndReason::Duration) => Some(status_of(pid)?),
        Some(_) => Some(Exit {
            code: None,
            signal: outcome.interrupted_by,
        }),
        None => outcome.report.exit,
    };
    told?;
    outcome.captured?;
    Ok(ExitCode::from(exit_code(&outcome.report, exit)))
}

/// Whether this user may trace; if not, what else there is.
fn privileged(arguments: &Arguments) -> anyhow::Result<()> {
    let checked = privilege::check(&privilege::effective());
    if arguments.command.is_empty() {
        return checked.context("memtrace check tells more");
    }
    checked.map_err(|error| {
        anyhow::anyhow!(
            "{error}. Without that, memtrace --unprivileged -- CMD looks at /proc now and then, \
             which is not exact; memtrace check tells more"
        )
    })
}

fn tell_check() -> Result<ExitCode, Failure> {
    let (text, able) = check::describe();
    Place::Stdout.write(text.as_bytes())?;
    Ok(if able {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(code::FAILED)
    })
}

fn tell_facts() -> Result<ExitCode, Failure> {
    let mut facts = Facts::of_running_kernel().map_err(anyhow::Error::from)?;
    if privilege::check(&privilege::effective()).is_ok() {
        facts = facts.with_fentry_tried();
    }
    let mut text = serde_json::to_string_pretty(&facts).context("facts cannot be written")?;
    text.push('\n');
    Place::Stdout.write(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn status_of(pid: Pid) -> anyhow::Result<Exit> {
    Ok(Exit::of_status(
        reap(pid)
            .context("the command cannot be waited for")?
            .status,
    ))
}

fn wanted_cgroup(arguments: &Arguments) -> Option<Wanted> {
    let named = |name: &Option<String>, kind: fn(String) -> Wanted| name.clone().map(kind);
    let cgroup = named(&arguments.cgroup, Wanted::Cgroup);
    let container = || named(&arguments.container, Wanted::Container);
    cgroup
        .or_else(container)
        .or_else(|| named(&arguments.pod, Wanted::Pod))
}

fn what(arguments: &Arguments) -> Result<What, Failure> {
    if let Some(wanted) = wanted_cgroup(arguments) {
        if !arguments.wait {
            cgroup::find(&wanted).map_err(anyhow::Error::from)?;
        }
        return Ok(What::Cgroup {
            wanted,
            wait: arguments.wait,
        });
    }
    if arguments.command.is_empty() {
        return Ok(What::Pids(processes(&arguments.pid)?));
    }
    let identity = Identity::of_run(arguments.user.as_deref()).map_err(anyhow::Error::from)?;
    Ok(What::Command {
        holder: Holder::fork(&arguments.command, identity.as_ref())?,
        argv: arguments
            .command
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect(),
    })
}

/// Finds the functions that are to be phases, in the files that the target will see.
fn functions(arguments: &Arguments) -> anyhow::Result<Vec<Function>> {
    if arguments.phase_fn.is_empty() {
        return Ok(Vec::new());
    }
    let (program, root) = if let Some(command) = arguments.command.first() {
        let found = which::which(command).unwrap_or_else(|_| command.into());
        (found, "/".into())
    } else {
        let first = match (arguments.pid.first(), wanted_cgroup(arguments)) {
            (None, Some(wanted)) => cgroup::find(&wanted)
                .ok()
                .and_then(|found| cgroup::processes(&found.directory).first().copied()),
            (pid, _) => pid.copied(),
        };
        let pid = first.context(
            "--phase-fn looks into the files of a process that runs already, and none runs there yet",
        )?;
        let process = format!("/proc/{pid}");
        (format!("{process}/exe").into(), format!("{process}/root"))
    };
    let wanted = arguments.phase_fn.iter();
    wanted
        .map(|wanted| Ok(functions::find(wanted, &program, Path::new(&root))?))
        .collect()
}

/// Checks that the PIDs are of processes that this user may trace.
fn processes(pids: &[u32]) -> anyhow::Result<Vec<u32>> {
    let mut processes: Vec<u32> = Vec::new();
    for &pid in pids {
        let group = readings::thread_group(pid)
            .with_context(|| format!("there is no process {pid}. List them with: ps -e"))?;
        anyhow::ensure!(
            group == pid,
            "{pid} is a thread of process {group}. Trace the process: --pid {group}"
        );
        anyhow::ensure!(
            readings::proc_memory(pid, 1).is_some(),
            "process {pid} has no memory of its own: it is a kernel thread or has ended"
        );
        let mine = readings::owner(pid) == Some(Uid::current().as_raw());
        anyhow::ensure!(
            mine || privilege::may_trace_others(&privilege::effective()),
            "process {pid} belongs to another user. Run memtrace as root, or with CAP_SYS_PTRACE"
        );
        if !processes.contains(&pid) {
            processes.push(pid);
        }
    }
    Ok(processes)
}

/// Writes the reports: the one for people first, so that a full disk cannot keep it back.
fn tell(
    arguments: &Arguments,
    report: &Report,
    captured: Option<&Path>,
    copies: &Copies,
) -> anyhow::Result<()> {
    if !arguments.quiet {
        let colour = coloured(arguments.color, &io::stderr());
        let mut bytes = Vec::new();
        let format = arguments.copies.format.unwrap_or_default();
        format
            .write(report, colour, &mut bytes)
            .context("the report cannot be put into words")?;
        io::stderr()
            .write_all(&bytes)
            .context("stderr cannot be written to")?;
    }
    let judgement = replay::judged(copies, captured);
    copies.write(report, judgement.as_ref())
}

fn exit_code(report: &Report, exit: Option<Exit>) -> u8 {
    let code = exit.map_or(0, Exit::shell_code);
    let Some(budget) = report.budget.filter(|_| code == 0) else {
        return code;
    };
    let peak = report.peak.as_ref().map(|peak| Bytes(peak.rss_bytes));
    let (text, code) = match (budget.verdict, peak) {
        (BudgetVerdict::Within, _) => return code,
        (BudgetVerdict::Over, Some(peak)) => {
            let text = format!("the peak of {peak} is over the budget");
            (text, self::code::OVER_BUDGET)
        }
        (_, Some(peak)) => {
            let text = format!("the peak of {peak} is not exact, and may be over the budget");
            (text, self::code::FAILED)
        }
        (_, None) => {
            let text = "the peak is not known, and may be over the budget";
            (text.to_owned(), self::code::FAILED)
        }
    };
    eprintln!("memtrace: {text} of {}", Bytes(budget.bytes as i64));
    code
}
