//! Texts of real hosts.

use super::*;

const HYBRID: &str = "\
23 1 0:21 / /proc rw,relatime - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
const PURE: &str = "\
24 30 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
35 25 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
";
/// A container in a cgroup namespace, as most engines make them.
const READ_ONLY: &str = "\
612 611 0:59 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
613 612 0:30 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate
";
/// A container without a cgroup namespace: a part of the hierarchy is mounted.
const PART: &str = "613 612 0:30 /docker/0a1b /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n";

fn dirs(mountinfo: &str, cgroup: &str) -> Result<Vec<String>, Missing> {
    let places = places(mountinfo.as_bytes(), cgroup.as_bytes())?;
    Ok(places.iter().map(|place| place.dir.display().to_string()).collect())
}

#[test]
fn a_hybrid_host_has_it_beside_the_old_ones() {
    let cgroup = "9:name=systemd:/\n4:memory:/some/where\n0::/a b/c\n";
    assert_eq!(dirs(HYBRID, cgroup).unwrap(), ["/sys/fs/cgroup/unified/a b/c"]);
    assert_eq!(dirs(HYBRID, "4:memory:/\n0::/\n").unwrap(), ["/sys/fs/cgroup/unified"]);
    assert!(is_in_first_version(cgroup.as_bytes(), "memory"));
    assert!(is_in_first_version(b"3:cpu,cpuacct:/\n0::/\n", "cpu"));
    assert!(!is_in_first_version(cgroup.as_bytes(), "pids"));
    assert!(!is_in_first_version(b"0::/pids\n", "pids"));
}

#[test]
fn a_user_session_of_systemd_is_below_its_manager() {
    let cgroup = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-7.scope\n";
    let own = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-7.scope";
    assert_eq!(dirs(PURE, cgroup).unwrap(), [own]);
    assert!(!places(PURE.as_bytes(), cgroup.as_bytes()).unwrap()[0].read_only);
}

#[test]
fn a_container_sees_a_read_only_root() {
    let found = places(READ_ONLY.as_bytes(), b"0::/\n").unwrap();
    assert_eq!(found, [Place { dir: "/sys/fs/cgroup".into(), read_only: true }]);
    let by_file_system = PURE.replace("cgroup2 rw,", "cgroup2 ro,");
    assert!(places(by_file_system.as_bytes(), b"0::/\n").unwrap()[0].read_only);
}

#[test]
fn what_can_be_written_goes_first_and_then_the_later() {
    let own = |point: &str, options: &str| format!("1 2 0:30 / {point} {options} - cgroup2 cgroup2 rw\n");
    let mountinfo = own("/a", "rw") + &own("/b", "rw") + &own("/c", "ro");
    assert_eq!(dirs(&mountinfo, "0::/x\n").unwrap(), ["/b/x", "/a/x", "/c/x"]);
}

#[test]
fn a_part_of_the_hierarchy_leads_only_to_what_is_in_it() {
    assert_eq!(dirs(PART, "0::/docker/0a1b\n").unwrap(), ["/sys/fs/cgroup"]);
    assert_eq!(dirs(PART, "0::/docker/0a1b/x\n").unwrap(), ["/sys/fs/cgroup/x"]);
    assert_eq!(dirs(PART, "0::/docker/0a1bc\n"), Err(Missing::Outside));
    assert_eq!(dirs(PART, "0::/\n"), Err(Missing::Outside));
}

#[test]
fn outside_the_namespace_there_is_no_way() {
    assert_eq!(dirs(PURE, "0::/../other\n"), Err(Missing::Outside));
    let root_above = PURE.replace("0:30 / ", "0:30 /../.. ");
    assert_eq!(dirs(&root_above, "0::/\n"), Err(Missing::Outside));
    assert_eq!(dirs(PURE, "0::/gone (deleted)\n"), Err(Missing::Outside));
}

#[test]
fn without_the_hierarchy_it_says_what_is_missing() {
    assert_eq!(dirs(PURE, "4:memory:/\n"), Err(Missing::Unknown));
    assert_eq!(dirs("", ""), Err(Missing::Unknown));
    assert_eq!(dirs("35 31 0:32 / /m rw - cgroup cgroup rw,memory\n", "0::/\n"), Err(Missing::NotMounted));
    assert_eq!(dirs("broken\n1 2 3\n\n", "0::/\n"), Err(Missing::NotMounted));
}

#[test]
fn escapes_are_taken_out() {
    let mountinfo = PURE.replace("/sys/fs/cgroup", "/a\\040b\\134c");
    assert_eq!(dirs(&mountinfo, "0::/\n").unwrap(), ["/a b\\c"]);
    assert_eq!(plain(b"\\09\\"), b"\\09\\");
}
