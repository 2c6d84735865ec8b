//! The cgroup that is a target: found by its path, or by the container or the pod that it is of.
//! Reads cgroup files and asks container engines, traces nothing.

mod engine;
mod hierarchy;
mod state;

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use self::engine::{Asker, Known, Question, Said};
pub use self::{
    hierarchy::{Hierarchy, number, processes},
    state::{Pressure, State},
};

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A path or a name below the root of the memory hierarchy.
    Cgroup(String),
    /// A container by name or id.
    Container(String),
    /// A pod by `NAMESPACE/NAME` or UID.
    Pod(String),
}

/// A cgroup in the hierarchy of the memory controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Its directory.
    pub directory: PathBuf,
    /// Its number: the inode of the directory.
    pub id: u64,
    /// Its depth below the root.
    pub level: u64,
    /// Container that was asked for.
    pub container: Option<String>,
    /// Pod that was asked for.
    pub pod: Option<String>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No hierarchy has the memory controller.
    #[error("no cgroup hierarchy with the memory controller is mounted here")]
    NoHierarchy,
    /// There is no such directory.
    #[error(
        "there is no cgroup {name} below {root}. List them with: find {root} -type d; or wait for \
         it with --wait"
    )]
    NoSuch {
        /// As asked.
        name: String,
        /// Root of the hierarchy.
        root: PathBuf,
    },
    /// It lies in another hierarchy.
    #[error(
        "{name} is a cgroup without the memory controller. Name the one below {root} that the \
         processes are in"
    )]
    OtherHierarchy {
        /// As asked.
        name: String,
        /// Root of the hierarchy.
        root: PathBuf,
    },
    /// No engine knows such a container, or it does not run.
    #[error(
        "no running container {name} is known to {asked}. List them with: {example}; or wait for it \
         with --wait"
    )]
    NoContainer {
        /// As asked.
        name: String,
        /// Engines asked.
        asked: String,
        /// How to list containers.
        example: String,
    },
    /// There is no engine to ask.
    #[error(
        "no container engine was found to ask for {0} (docker, podman, nerdctl, crictl). Name its \
         cgroup: --cgroup PATH"
    )]
    NoEngine(String),
    /// Nobody knows such a pod.
    #[error(
        "no pod {name} is known to {asked}. List them with: {example}; or wait for it with --wait"
    )]
    NoPod {
        /// As asked.
        name: String,
        /// Engines asked.
        asked: String,
        /// How to list pods.
        example: String,
    },
    /// There is nobody to ask for a pod.
    #[error(
        "neither crictl nor kubectl was found to ask for the pod {0}. Name it by its UID: --pod UID"
    )]
    NoPodEngine(String),
    /// The pod has no cgroup on this machine.
    #[error(
        "the pod {name} (UID {uid}) has no cgroup on this machine: it runs on another node, or not \
         yet. Wait for it with --wait"
    )]
    PodElsewhere {
        /// As asked.
        name: String,
        /// UID, as in the names of its cgroups.
        uid: String,
    },
    /// Not the name of a pod.
    #[error("{0} is no pod. Name one by NAMESPACE/NAME or by its UID")]
    NotAPod(String),
}

impl FindError {
    /// What is not there now may come.
    pub fn may_come(&self) -> bool {
        matches!(
            self,
            Self::NoSuch { .. }
                | Self::NoContainer { .. }
                | Self::NoPod { .. }
                | Self::PodElsewhere { .. }
        )
    }
}

/// Finds it, if it is there.
///
/// # Errors
///
/// [`FindError`] if it is not.
pub fn find(wanted: &Wanted) -> Result<Cgroup, FindError> {
    let question = wanted.question()?;
    let said = question.map(|question| question.ask_once());
    wanted.look(&here()?, said.unwrap_or_default())
}

/// A look for what is not there yet.
#[derive(Debug)]
pub struct Search {
    wanted: Wanted,
    hierarchy: Hierarchy,
    asker: Option<Asker>,
}

impl Search {
    /// Begins to look.
    ///
    /// # Errors
    ///
    /// [`FindError`] if there is nowhere to look.
    pub fn start(wanted: &Wanted) -> Result<Self, FindError> {
        Ok(Self {
            hierarchy: here()?,
            asker: wanted.question()?.map(Asker::start),
            wanted: wanted.clone(),
        })
    }

    /// Looks once more.
    ///
    /// # Errors
    ///
    /// [`FindError`] if it is not there yet.
    pub fn look(&self) -> Result<Cgroup, FindError> {
        let said = self.asker.as_ref().map(Asker::latest);
        self.wanted.look(&self.hierarchy, said.unwrap_or_default())
    }
}

fn here() -> Result<Hierarchy, FindError> {
    Hierarchy::here().ok_or(FindError::NoHierarchy)
}

impl Wanted {
    /// What an engine has to be asked; `None` if nothing.
    fn question(&self) -> Result<Option<Question>, FindError> {
        match self {
            Self::Cgroup(_) => Ok(None),
            Self::Container(name) => Ok(Some(Question::Container(name.clone()))),
            Self::Pod(name) if is_uid(name) => Ok(None),
            Self::Pod(pod) => match pod.split_once('/') {
                Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                    Ok(Some(Question::Pod {
                        namespace: namespace.to_owned(),
                        name: name.to_owned(),
                    }))
                }
                _ => Err(FindError::NotAPod(pod.clone())),
            },
        }
    }

    fn look(&self, hierarchy: &Hierarchy, said: Said) -> Result<Cgroup, FindError> {
        let directory = match self {
            Self::Cgroup(name) => by_name(name, hierarchy)?,
            Self::Container(name) => by_container(name, hierarchy, said)?,
            Self::Pod(name) => by_pod(name, hierarchy, said)?,
        };
        let (container, pod) = match self {
            Self::Cgroup(_) => (None, None),
            Self::Container(name) => (Some(name), None),
            Self::Pod(name) => (None, Some(name)),
        };
        let no_such = || FindError::NoSuch {
            name: directory.display().to_string(),
            root: hierarchy.root.clone(),
        };
        let metadata = fs::metadata(&directory).map_err(|_| no_such())?;
        let below = directory
            .strip_prefix(&hierarchy.root)
            .map_err(|_| no_such())?;
        Ok(Cgroup {
            id: metadata.ino(),
            level: hierarchy.depth + below.components().count() as u64,
            directory,
            container: container.cloned(),
            pod: pod.cloned(),
        })
    }
}

fn by_name(name: &str, hierarchy: &Hierarchy) -> Result<PathBuf, FindError> {
    let root = hierarchy.root.clone();
    let path = Path::new(name);
    let name = name.to_owned();
    if path.starts_with(&root) {
        return match path.is_dir() {
            true => Ok(path.to_owned()),
            false => Err(FindError::NoSuch { name, root }),
        };
    }
    let below = root.join(name.trim_start_matches('/'));
    match (
        below.is_dir(),
        path.is_absolute() && path.join("cgroup.procs").exists(),
    ) {
        (true, _) => Ok(below),
        (false, true) => Err(FindError::OtherHierarchy { name, root }),
        (false, false) => Err(FindError::NoSuch { name, root }),
    }
}

/// By the first process, else by the id in the name of the cgroup, which is there before the first
/// process is in it.
fn by_container(name: &str, hierarchy: &Hierarchy, said: Said) -> Result<PathBuf, FindError> {
    let named = |Known { id, pid }: &Known| {
        let running = pid.and_then(|pid| hierarchy.of(pid));
        // The engine's own process for the container may have a cgroup beside it.
        let is_it = |name: &str| name.contains(id) && !name.contains("conmon");
        running.or_else(|| hierarchy.find_named(is_it))
    };
    if let Some(directory) = said.known.as_ref().and_then(named) {
        return Ok(directory);
    }
    let name = name.to_owned();
    Err(match said.asked.first() {
        None => FindError::NoEngine(name),
        Some(first) => FindError::NoContainer {
            name,
            asked: said.asked.join(", "),
            example: format!("{first} ps"),
        },
    })
}

/// By its UID, as the kubelet names cgroups: `pod<UID>`, or with systemd
/// `kubepods-<class>-pod<UID>.slice` with low lines in the UID.
fn by_pod(name: &str, hierarchy: &Hierarchy, said: Said) -> Result<PathBuf, FindError> {
    let pod = name.to_owned();
    let uid = match (said.known, said.asked.first()) {
        (Some(known), _) => known.id,
        (None, _) if is_uid(name) => pod.clone(),
        (None, None) => return Err(FindError::NoPodEngine(pod)),
        (None, Some(first)) => {
            let example = match *first {
                "crictl" => "crictl pods",
                _ => "kubectl get pods --all-namespaces",
            };
            return Err(FindError::NoPod {
                name: pod,
                asked: said.asked.join(", "),
                example: example.to_owned(),
            });
        }
    };
    let own = format!("pod{uid}");
    let slice = format!("-pod{}.slice", uid.replace('-', "_"));
    hierarchy
        .find_named(|name| name == own || name.ends_with(&slice))
        .ok_or(FindError::PodElsewhere { name: pod, uid })
}

/// A UID of a pod: that of an object, or of 32 digits if the kubelet read the pod from a file.
fn is_uid(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = text.bytes().filter(|byte| *byte == b'-').count();
    digits == 32 && digits + dashes == text.len() && (dashes == 0 || dashes == 4)
}
