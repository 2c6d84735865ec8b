//! As whom the command runs: the user who called `sudo`, or one that was named.

use std::ffi::CString;

use nix::unistd::{Gid, Uid, User};

/// Why no identity could be found.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentityError {
    /// There is no such user.
    #[error(
        "there is no user {0} on this machine. Name one that exists: --user NAME or --user UID"
    )]
    Unknown(String),
    /// Only root may become another user.
    #[error(
        "only root can run a command as another user. Leave out --user, or run memtrace as root"
    )]
    NotRoot,
}

/// A user to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: Uid,
    /// Group id.
    pub gid: Gid,
    /// Name for the supplementary groups, and for `USER`; `None` if the user database has none.
    pub name: Option<CString>,
    /// Home directory, for `HOME`.
    pub home: Option<String>,
}

impl Identity {
    fn of(user: User) -> Self {
        Self {
            uid: user.uid,
            gid: user.gid,
            name: CString::new(user.name).ok(),
            home: Some(user.dir.to_string_lossy().into_owned()),
        }
    }

    /// Who the command of this very call is to be: see [`Self::choose`].
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if the user does not exist or may not be taken.
    pub fn of_run(wanted: Option<&str>) -> Result<Option<Self>, IdentityError> {
        let id = |name| std::env::var(name).ok().and_then(|id| id.parse().ok());
        let sudo_ids = id("SUDO_UID").zip(id("SUDO_GID"));
        Self::choose(wanted, sudo_ids, Uid::effective().is_root())
    }

    /// Who the command is to be: `wanted` if named, else whoever called `sudo`, else nobody else.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if the user does not exist or may not be taken.
    pub fn choose(
        wanted: Option<&str>,
        sudo_ids: Option<(u32, u32)>,
        am_root: bool,
    ) -> Result<Option<Self>, IdentityError> {
        if let Some(wanted) = wanted {
            if !am_root {
                return Err(IdentityError::NotRoot);
            }
            let user = match wanted.parse() {
                Ok(uid) => User::from_uid(Uid::from_raw(uid)),
                Err(_) => User::from_name(wanted),
            };
            let user = user
                .ok()
                .flatten()
                .ok_or_else(|| IdentityError::Unknown(wanted.to_owned()))?;
            return Ok(Some(Self::of(user)));
        }
        let Some((uid, gid)) = sudo_ids.filter(|(uid, _)| am_root && *uid != 0) else {
            return Ok(None);
        };
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        Ok(Some(match User::from_uid(uid).ok().flatten() {
            Some(user) => Self {
                gid,
                ..Self::of(user)
            },
            None => Self {
                uid,
                gid,
                name: None,
                home: None,
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sudo_counts_only_for_root_and_only_for_others_than_root() {
        assert_eq!(Identity::choose(None, Some((1000, 1000)), false), Ok(None));
        assert_eq!(Identity::choose(None, Some((0, 0)), true), Ok(None));
        let someone = Identity::choose(None, Some((54_321, 54_322)), true)
            .unwrap()
            .unwrap();
        assert_eq!(
            (someone.uid.as_raw(), someone.gid.as_raw()),
            (54_321, 54_322)
        );
    }

    #[test]
    fn a_user_that_does_not_exist_is_refused_by_name() {
        let refused = Identity::choose(Some("no-such-user"), None, true).unwrap_err();
        assert_eq!(refused, IdentityError::Unknown("no-such-user".to_owned()));
        assert_eq!(
            Identity::choose(Some("root"), None, false),
            Err(IdentityError::NotRoot)
        );
    }
}
