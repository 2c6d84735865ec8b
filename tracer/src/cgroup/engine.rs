//! What container engines and Kubernetes say of a container or a pod: the words by which its
//! cgroup is found. Runs their commands, reads no cgroup.

use std::{
    io,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;

/// Whom to ask of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// A container, by name or id.
    Container(String),
    /// A pod, by namespace and name.
    Pod {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// What an engine knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Its id; the UID of a pod.
    pub(super) id: String,
    /// PID of its first process, if it runs and the engine tells.
    pub(super) pid: Option<u32>,
}

/// What came of asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) known: Option<Known>,
    /// Engines that are installed here.
    pub(super) asked: Vec<&'static str>,
}

/// Engines for containers; each prints an id and the PID of the first process.
const ENGINES: [(&str, &[&str]); 4] = [
    ("docker", INSPECT),
    ("podman", INSPECT),
    ("nerdctl", INSPECT),
    (
        "crictl",
        &[
            "inspect",
            "--output",
            "go-template",
            "--template",
            "{{.status.id}} {{.info.pid}}",
        ],
    ),
];
const INSPECT: &[&str] = &["inspect", "--format", "{{.Id}} {{.State.Pid}}"];

/// What `kubectl` prints of a pod: its UID and, if the kubelet read it from a file, the UID that
/// the kubelet gave it then, by which it names the cgroup.
const KUBECTL_UID: &str =
    r"jsonpath={.metadata.uid} {.metadata.annotations.kubernetes\.io/config\.hash}";

/// What `crictl pods --output json` prints, as far as it matters.
#[derive(Deserialize)]
struct Pods {
    items: Vec<Pod>,
}

#[derive(Deserialize)]
struct Pod {
    metadata: PodMetadata,
    #[serde(rename = "createdAt", default)]
    created_at: String,
}

#[derive(Deserialize)]
struct PodMetadata {
    name: String,
    namespace: String,
    uid: String,
}

impl Question {
    /// Engines that can be asked.
    fn engines(&self) -> Vec<&'static str> {
        match self {
            Self::Container(_) => ENGINES.iter().map(|(name, _)| *name).collect(),
            Self::Pod { .. } => vec!["crictl", "kubectl"],
        }
    }

    /// Asks one engine; `None` if it knows nothing of it.
    ///
    /// # Errors
    ///
    /// If the engine is not here.
    fn ask(&self, engine: &'static str) -> io::Result<Option<Known>> {
        let mut command = Command::new(engine);
        match self {
            Self::Container(name) => {
                let row = ENGINES.iter().find(|(known, _)| *known == engine);
                command.args(row.map_or(&[][..], |row| row.1)).arg(name);
            }
            Self::Pod { namespace, name } if engine == "crictl" => {
                // The name is a pattern to crictl.
                command.args(["pods", "--namespace", namespace, "--name", name]);
                command.args(["--output", "json"]);
            }
            Self::Pod { namespace, name } => {
                command.args(["get", "pod", name, "--namespace", namespace]);
                command.args(["--request-timeout=5s", "--output", KUBECTL_UID]);
            }
        }
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let text = String::from_utf8_lossy(&command.output()?.stdout).into_owned();
        Ok(match self {
            Self::Pod { namespace, name } if engine == "crictl" => {
                listed_pod(&text, namespace, name)
            }
            Self::Pod { .. } => text.split_whitespace().last().map(|uid| Known {
                id: uid.to_owned(),
                pid: None,
            }),
            Self::Container(_) => inspected(&text),
        })
    }

    /// Asks those that are left, and keeps only those that can answer: the one that knew, else all
    /// that are here.
    pub(super) fn ask_all(&self, engines: &mut Vec<&'static str>) -> Said {
        let mut asked = Vec::new();
        for engine in engines.clone() {
            let Ok(known) = self.ask(engine) else {
                continue;
            };
            asked.push(engine);
            if known.is_some() {
                *engines = vec![engine];
                return Said { known, asked };
            }
        }
        engines.clone_from(&asked);
        Said { known: None, asked }
    }

    /// Asks all once.
    pub(super) fn ask_once(&self) -> Said {
        self.ask_all(&mut self.engines())
    }
}

fn inspected(text: &str) -> Option<Known> {
    let mut words = text.split_whitespace();
    let id = words.next().filter(|id| is_id(id))?;
    let pid = words.next()?.parse().ok();
    Some(Known {
        id: id.to_owned(),
        pid: pid.filter(|pid| *pid != 0),
    })
}

/// A long id and nothing else: a short word might be in the name of any directory.
fn is_id(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The youngest sandbox of exactly this pod.
fn listed_pod(json: &str, namespace: &str, name: &str) -> Option<Known> {
    let pods: Pods = serde_json::from_str(json).ok()?;
    let is_it = |pod: &Pod| pod.metadata.name == name && pod.metadata.namespace == namespace;
    let pods = pods.items.into_iter().filter(is_it);
    // Nanoseconds since 1970, of as many digits.
    let youngest = pods.max_by(|a, b| a.created_at.cmp(&b.created_at))?;
    Some(Known {
        id: youngest.metadata.uid,
        pid: None,
    })
}

/// Engines are left alone as long as their last answer took, at first; later, or when the id is
/// known and the cgroup is looked for by that, so many times as long.
const SELDOM: u32 = 10;
/// That is later.
const AT_FIRST: Duration = Duration::from_secs(30);

/// Asks again and again, in a thread of its own: an engine takes a tenth of a second for an answer,
/// in which a cgroup can come and go. Ends when dropped.
#[derive(Debug)]
pub(super) struct Asker(Arc<Mutex<Said>>);

impl Asker {
    /// Begins to ask; the first answer is there when this returns.
    pub(super) fn start(question: Question) -> Self {
        let mut engines = question.engines();
        let said = Arc::new(Mutex::new(question.ask_all(&mut engines)));
        let heard = Arc::downgrade(&said);
        let began = Instant::now();
        thread::spawn(move || {
            while let Some(said) = heard.upgrade() {
                let asked_at = Instant::now();
                let new = question.ask_all(&mut engines);
                let is_urgent = new.known.is_none() && began.elapsed() < AT_FIRST;
                *said.lock().unwrap_or_else(PoisonError::into_inner) = new;
                drop(said);
                let took = asked_at.elapsed();
                thread::sleep(if is_urgent { took } else { took * SELDOM });
            }
        });
        Self(said)
    }

    /// What was said last.
    pub(super) fn latest(&self) -> Said {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn an_answer_is_an_id_and_a_pid() {
        let known = |pid| {
            Some(Known {
                id: ID.to_owned(),
                pid,
            })
        };
        assert_eq!(inspected(&format!("{ID} 4711\n")), known(Some(4711)));
        assert_eq!(inspected(&format!("{ID} 0\n")), known(None));
        for nothing in ["", "\n", "<no value> 0", "[] 12"] {
            assert_eq!(inspected(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn of_pods_whose_names_begin_alike_the_right_one_is_found() {
        let pod = |name: &str, uid: &str, at: &str| {
            format!(
                r#"{{"id": "f00", "metadata": {{"name": "{name}", "uid": "{uid}",
                "namespace": "shop", "attempt": 0}}, "state": "SANDBOX_READY", "createdAt": "{at}"}}"#
            )
        };
        let json = format!(
            r#"{{"items": [{}, {}, {}]}}"#,
            pod("web-2", "aaa", "1790000000000000003"),
            pod("web", "bbb", "1790000000000000001"),
            pod("web", "ccc", "1790000000000000002"),
        );
        let found = |name| listed_pod(&json, "shop", name).map(|known| known.id);
        assert_eq!(found("web").as_deref(), Some("ccc"));
        assert_eq!(found("we"), None);
        assert_eq!(listed_pod(&json, "other", "web"), None);
        assert_eq!(listed_pod("", "shop", "web"), None);
    }
}
