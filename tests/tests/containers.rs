//! Containers and pods: found by what their engines say and by the names of their cgroups. The
//! engines are made up here; `scripts/container_test.py` tries real ones.

use std::{fs, os::unix::fs::PermissionsExt, process::Command, thread, time::Duration};

use tests::{
    live::Ledgers,
    report::exited,
    runner::{Memtrace, Program, Scratch, report, workload},
    sys::cgroup::Cgroup,
    truth::{self, PagesTruth},
};

/// UIDs of the pods of the tests, which run at the same time.
const UIDS: [&str; 4] = [
    "5f0c31f8-9f43-4a8e-8b0f-0a1b2c3d4e50",
    "5f0c31f8-9f43-4a8e-8b0f-0a1b2c3d4e51",
    "5f0c31f8-9f43-4a8e-8b0f-0a1b2c3d4e52",
    "5f0c31f8-9f43-4a8e-8b0f-0a1b2c3d4e53",
];
const ID: &str = "8d6c4e0b5a39f1d27c6b8a40e3f5d2918d6c4e0b5a39f1d27c6b8a40e3f5d291";

/// Engines that say what a test lets them say; nothing else is on their `PATH`.
struct Engines(Scratch);

impl Engines {
    fn none() -> Self {
        Self(Scratch::default())
    }

    /// One that prints this if its arguments hold those words, else fails.
    fn with(self, engine: &str, words: &[&str], says: &str) -> Self {
        let path = self.0.path(engine);
        let words: String = words
            .iter()
            .map(|word| format!("case \" $* \" in *' {word} '*) ;; *) exit 1 ;; esac\n"))
            .collect();
        fs::write(&path, format!("#!/bin/sh\n{words}echo '{says}'\n")).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a script");
        self
    }

    fn memtrace(&self, options: &[&str]) -> Memtrace {
        let mut memtrace = Memtrace::with_json().options(options);
        memtrace.command.env("PATH", self.0.arg(""));
        memtrace
    }

    /// A memtrace that follows what it was asked for.
    fn follow(&self, options: &[&str]) -> (Program, Scratch) {
        let (mut program, scratch) = self.memtrace(options).start_as_is();
        while !program.has_ended() && !follows(&program) {
            thread::sleep(Duration::from_millis(2));
        }
        (program, scratch)
    }

    fn refuses(&self, options: &[&str], words: &[&str]) {
        let (program, _scratch) = self.memtrace(options).start_as_is();
        program.finish().assert_refusal(125, words);
    }
}

fn follows(memtrace: &Program) -> bool {
    Ledgers::of(memtrace.pid()).is_some_and(|ledgers| ledgers.follow_a_cgroup())
}

fn pages(cgroup: &Cgroup, scratch: &Scratch, pages: &str) -> Program {
    let mut command = Command::new(workload("pages"));
    let (truth, folder) = (scratch.arg("truth.json"), scratch.arg(""));
    command.args(["--truth", &truth, "--dir", &folder, "--anon", pages]);
    Program::start(cgroup.begin(&mut command))
}

/// The cgroup of a pod below that of its class, as the kubelet makes them.
struct Pod {
    own: Cgroup,
    _class: Cgroup,
    _top: Cgroup,
}

impl Pod {
    /// With the kubelet's own driver, or with systemd's names.
    fn new(uid: &str, by_systemd: bool) -> Self {
        let top = Cgroup::new(&format!("kubepods-{}", &uid[32..]));
        let names = match by_systemd {
            false => ["burstable".to_owned(), format!("pod{uid}")],
            true => [
                "kubepods-burstable.slice".to_owned(),
                format!("kubepods-burstable-pod{}.slice", uid.replace('-', "_")),
            ],
        };
        let class = top.child(&names[0]);
        Self {
            own: class.child(&names[1]),
            _class: class,
            _top: top,
        }
    }
}

/// All containers of the pod are seen, and each peak is exact.
#[track_caller]
fn check(pod: &Pod, memtrace: Program, scratch: &Scratch) {
    let containers = [pod.own.child("first"), pod.own.child("second")];
    let files = [Scratch::default(), Scratch::default()];
    // The first one holds the pod open.
    let mut keeper = Command::new("/bin/cat");
    let keeper = Program::start(containers[0].begin(&mut keeper));
    for ((cgroup, files), count) in containers.iter().zip(&files).zip(["3000", "5000"]) {
        pages(cgroup, files, count).finish().assert_code(0);
    }
    keeper.finish().assert_code(0);
    let outcome = memtrace.finish();
    outcome.assert_code(0);
    let report = report(&outcome, scratch);
    assert_eq!(report.target.kind, "cgroup");
    assert_eq!(
        report.cgroup.as_ref().map(|own| own.path.as_str()),
        Some(pod.own.path())
    );
    for files in &files {
        let truth: PagesTruth = truth::read(&files.path("truth.json"));
        assert_eq!(report.last_row(truth.pid).peak().level(), truth.peak);
    }
    report.assert_over();
}

#[test]
fn a_pod_by_its_name_from_crictl() {
    let pod = |name: &str, uid: &str| {
        format!(
            r#"{{"metadata": {{"name": "{name}", "uid": "{uid}", "namespace": "shop"}}, "createdAt": "1"}}"#
        )
    };
    // The name is a pattern to crictl.
    let list = [pod("web-2", UIDS[3]), pod("web", UIDS[0])].join(", ");
    let engines = Engines::none().with(
        "crictl",
        &["pods --namespace shop --name web --output json"],
        &format!(r#"{{"items": [{list}]}}"#),
    );
    let pod = Pod::new(UIDS[0], false);
    let (memtrace, scratch) = engines.follow(&["--pod", "shop/web", "--wait"]);
    check(&pod, memtrace, &scratch);
}

#[test]
fn a_pod_by_its_name_from_kubectl_with_the_names_of_systemd() {
    let engines = Engines::none().with(
        "kubectl",
        &["get pod web --namespace shop", "--request-timeout=5s"],
        &format!("{} ", UIDS[1]),
    );
    let pod = Pod::new(UIDS[1], true);
    let (memtrace, scratch) = engines.follow(&["--pod", "shop/web", "--wait"]);
    check(&pod, memtrace, &scratch);
}

#[test]
fn a_pod_by_its_uid_that_comes_later() {
    let engines = Engines::none();
    let (memtrace, scratch) = engines
        .memtrace(&["--pod", UIDS[2], "--wait"])
        .start_as_is();
    let pod = Pod::new(UIDS[2], false);
    while !follows(&memtrace) {
        thread::sleep(Duration::from_millis(2));
    }
    check(&pod, memtrace, &scratch);
}

/// The engine knows the id while the container is being made; its cgroup is found by that, before
/// anything runs in it.
#[test]
fn a_container_is_followed_from_its_first_program_on() {
    let engines = Engines::none().with("podman", &["inspect", "web"], &format!("{ID} 0"));
    let (memtrace, scratch) = engines
        .memtrace(&["--container", "web", "--wait"])
        .start_as_is();
    let parent = Cgroup::new("libpod");
    // The engine's own process for the container is not the container.
    let _beside = parent.child(&format!("libpod-conmon-{ID}.scope"));
    let own = parent.child(&format!("libpod-{ID}.scope"));
    while !follows(&memtrace) {
        thread::sleep(Duration::from_millis(2));
    }
    let mut brief = Command::new("/bin/true");
    Program::start(own.begin(&mut brief))
        .finish()
        .assert_code(0);
    let outcome = memtrace.finish();
    outcome.assert_code(0);
    let report = report(&outcome, &scratch);
    let path = report.cgroup.as_ref().map(|own| own.path.as_str());
    assert_eq!(path, Some(own.path()));
    let brief = report.processes.iter().filter(|row| row.comm == "true");
    assert_eq!(brief.map(|row| row.exit).collect::<Vec<_>>(), [exited(0)]);
    report.assert_over();
}

#[test]
fn what_cannot_be_found_is_refused_with_a_remedy() {
    let none = Engines::none();
    none.refuses(&["--pod", "web"], &["web is no pod", "NAMESPACE/NAME"]);
    none.refuses(
        &["--pod", "shop/web"],
        &["neither crictl nor kubectl", "--pod UID"],
    );
    none.refuses(
        &["--pod", UIDS[3]],
        &["no cgroup on this machine", "--wait"],
    );
    none.refuses(
        &["--container", "web"],
        &["no container engine", "--cgroup"],
    );
    let empty = Engines::none().with("crictl", &["pods"], r#"{"items": []}"#);
    empty.refuses(
        &["--pod", "shop/web"],
        &[
            "no pod shop/web is known to crictl",
            "crictl pods",
            "--wait",
        ],
    );
    let idle = Engines::none().with("nerdctl", &["inspect"], &format!("{ID} 0"));
    idle.refuses(
        &["--container", "web"],
        &["no running container web is known to nerdctl", "nerdctl ps"],
    );
}
