//! Users and groups by name: those of /etc/passwd and /etc/group.
//!
//! The C library would also ask directory services, through plugins that a safe and static program can't load; for
//! those there are numbers.

use std::fs;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Who the program shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// Supplementary groups.
    pub(crate) groups: Option<Vec<u32>>,
}

/// Looks up what `--uid` and `--gid` name. Only root may, and should, take on groups that were not asked for.
pub(crate) fn identify(user: Option<&str>, group: Option<&str>, root: bool) -> Result<Identity, String> {
    if user.is_none() && group.is_none() {
        return Ok(Identity::default());
    }
    // Numbers need no files.
    let read = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    resolve(user, group, root, &read(PASSWD).unwrap_or_default(), &read(GROUP).unwrap_or_default())
}

fn resolve(
    user: Option<&str>,
    group: Option<&str>,
    root: bool,
    passwd: &str,
    groups: &str,
) -> Result<Identity, String> {
    let mut identity = Identity::default();
    if let Some(user) = user {
        let account = find_user(user, passwd);
        let number = account.as_ref().map(|account| account.uid).or_else(|| id(user));
        let missing = || format!("--uid: no user {user:?} in {PASSWD}; a number works for any user");
        identity.uid = Some(number.ok_or_else(missing)?);
        if let Some(account) = account.filter(|_| root && group.is_none()) {
            identity.gid = Some(account.gid);
            identity.groups = Some(groups_of(account.name, account.gid, groups));
        }
    }
    if let Some(group) = group {
        let number = find_group(group, groups).or_else(|| id(group));
        let missing = || format!("--gid: no group {group:?} in {GROUP}; a number works for any group");
        identity.gid = Some(number.ok_or_else(missing)?);
        // What root may as a member of its groups is not for somebody else.
        identity.groups = root.then(Vec::new);
    }
    Ok(identity)
}

/// -1, which the system calls take for "leave it as it is", is no id.
fn id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id != u32::MAX)
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
}

/// By name first: POSIX lets names be numbers.
fn find_user<'a>(user: &str, passwd: &'a str) -> Option<Account<'a>> {
    let accounts = || {
        passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            Some(Account { name, uid: id(uid)?, gid: id(gid)? })
        })
    };
    let by_number = || accounts().find(|account| Some(account.uid) == id(user));
    accounts().find(|account| account.name == user).or_else(by_number)
}

/// Name, number and members of each group.
fn all_groups(groups: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    groups.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
        Some((name, id(gid)?, fields.next().unwrap_or_default()))
    })
}

fn find_group(group: &str, groups: &str) -> Option<u32> {
    all_groups(groups).find(|(name, ..)| *name == group).map(|(_, gid, _)| gid)
}

fn groups_of(user: &str, primary: u32, groups: &str) -> Vec<u32> {
    let member = |members: &str| members.split(',').any(|member| member == user);
    let mut all = vec![primary];
    all.extend(
        all_groups(groups)
            .filter(|(_, gid, members)| *gid != primary && member(members))
            .map(|group| group.1),
    );
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\n\nbad line\nwww:x:33:33::/:\nann:x:1000:100:Ann:/home/ann:\n7:x:8:8::/:\n";
    const GROUPS: &str = "root:x:0:\nusers:x:100:ann\nwheel:x:10:bob,ann\naudio:x:29:bobann\nwww:x:33\n";

    fn get(user: Option<&str>, group: Option<&str>, root: bool) -> Result<Identity, String> {
        resolve(user, group, root, USERS, GROUPS)
    }

    #[test]
    fn root_gives_a_user_its_groups() {
        let ann = Identity { uid: Some(1000), gid: Some(100), groups: Some(vec![100, 10]) };
        assert_eq!(get(Some("ann"), None, true), Ok(ann.clone()));
        assert_eq!(get(Some("1000"), None, true), Ok(ann));
        let only = |uid| Identity { uid: Some(uid), ..Identity::default() };
        assert_eq!(get(Some("ann"), None, false), Ok(only(1000)));
        // A number without an account is a number.
        assert_eq!(get(Some("4711"), None, true), Ok(only(4711)));
        // A name that is a number.
        assert_eq!(get(Some("7"), None, false), Ok(only(8)));
    }

    #[test]
    fn a_group_that_is_named_is_the_only_one() {
        let asked = Identity { uid: Some(33), gid: Some(10), groups: Some(vec![]) };
        assert_eq!(get(Some("www"), Some("wheel"), true), Ok(asked));
        assert_eq!(get(None, Some("5"), false), Ok(Identity { gid: Some(5), ..Identity::default() }));
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert!(get(Some("bob"), None, true).unwrap_err().contains("\"bob\""));
        assert!(get(None, Some("bob"), true).unwrap_err().contains("\"bob\""));
        for bad in ["", "-1", "+5", "4294967295", "99999999999"] {
            assert!(get(Some(bad), None, true).is_err(), "{bad}");
        }
    }
}
