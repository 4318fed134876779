//! The environment of the child, as edits to ours.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::fmt;

use herder_sys::Strings;

use crate::host;

fn is_same(one: &OsStr, other: &OsStr) -> bool {
    host::compare_names(one, other) == Ordering::Equal
}

/// Whether a child gets it even from a cleared environment.
fn is_kept(name: &OsStr) -> bool {
    host::KEPT_VARIABLES.iter().any(|kept| is_same(kept.as_ref(), name))
}

/// What is wrong with a variable. Names its key, never its value: values are secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnvError {
    /// A variable without a name.
    #[error("an environment variable has an empty name")]
    EmptyKey,
    /// The child would take the part before the `=` for the name.
    #[error("the name of an environment variable has an equals sign in it, behind {key:?}")]
    EqualsInKey { key: String },
    /// The child would see the part before the NUL byte only.
    #[error("the name of environment variable {key:?} has a NUL byte in it")]
    NulInKey { key: OsString },
    /// The child would see the part before the NUL byte only.
    #[error("the value of environment variable {key:?} has a NUL byte in it")]
    NulInValue { key: OsString },
}

/// Edits to an environment; a later edit of a variable replaces an earlier one.
///
/// Nothing is checked when an edit is made, so that the builder can be used as that of `std`; `resolve` checks.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct EnvEdits {
    /// Whether the child starts from nothing instead of our environment.
    clear: bool,
    /// The new value of each edited variable, by its name in the system's order; `None` removes it.
    edits: Vec<(OsString, Option<OsString>)>,
}

impl EnvEdits {
    /// Where a variable is, or belongs.
    fn find(&self, key: &OsStr) -> Result<usize, usize> {
        self.edits.binary_search_by(|(edited, _)| host::compare_names(edited, key))
    }

    /// The spelling is that of the last edit, where another means the same.
    fn edit(&mut self, key: &OsStr, value: Option<OsString>) {
        let edit = (key.to_owned(), value);
        match self.find(key) {
            Ok(at) => self.edits[at] = edit,
            Err(at) => self.edits.insert(at, edit),
        }
    }

    /// Sets a variable.
    pub(crate) fn set(&mut self, key: &OsStr, value: &OsStr) {
        self.edit(key, Some(value.to_owned()));
    }

    /// Removes a variable. One that can't exist may be removed too; that changes nothing.
    pub(crate) fn remove(&mut self, key: &OsStr) {
        if self.clear && !is_kept(key) {
            if let Ok(at) = self.find(key) {
                self.edits.remove(at);
            }
        } else {
            self.edit(key, None);
        }
    }

    /// Removes everything, edits made so far included.
    pub(crate) fn clear(&mut self) {
        self.clear = true;
        self.edits.clear();
    }

    /// Each edited variable with its new value; `None` removes it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsStr, Option<&OsStr>)> {
        self.edits.iter().map(|(key, value)| (key.as_os_str(), value.as_deref()))
    }

    /// Whether the child gets our environment as it is.
    pub(crate) fn is_unedited(&self) -> bool {
        !self.clear && self.edits.is_empty()
    }

    /// The child's variables, given those it would inherit, if anything was edited.
    ///
    /// Inherited variables keep their order, unchecked, then come the others by name. An edited variable that is
    /// inherited more than once is there once.
    ///
    /// # Errors
    ///
    /// If a variable that was set has a name or a value that no child can receive unchanged.
    pub(crate) fn resolve<'a>(
        &'a self,
        base: impl IntoIterator<Item = (&'a OsStr, &'a OsStr)>,
    ) -> Result<Strings, EnvError> {
        let set = || self.edits.iter().filter_map(|(key, value)| Some((key.as_os_str(), value.as_deref()?)));
        set().try_for_each(|(key, value)| check(key, value))?;
        let stays = |key: &OsStr| (!self.clear || is_kept(key)) && self.find(key).is_err();
        let inherited = base.into_iter().filter(|(key, _)| stays(key));
        let mut variables = Strings::new();
        for (key, value) in inherited.chain(set()) {
            variables
                .push(&[key, OsStr::new("="), value])
                .map_err(|_| EnvError::NulInValue { key: key.to_owned() })?;
        }
        Ok(variables)
    }

    /// A variable that the child will have, given ours: programs are looked up in the `PATH` of the child.
    pub(crate) fn look_up<'a>(&'a self, name: &str, inherited: &'a Strings) -> Option<&'a OsStr> {
        let name = OsStr::new(name);
        match self.find(name) {
            Ok(at) => self.edits[at].1.as_deref(),
            Err(_) if self.clear && !is_kept(name) => None,
            Err(_) => inherited.pairs().find_map(|(key, value)| is_same(key, name).then_some(value)),
        }
    }
}

fn check(key: &OsStr, value: &OsStr) -> Result<(), EnvError> {
    let has = |text: &OsStr, byte| text.as_encoded_bytes().contains(&byte);
    let error = if key.is_empty() {
        EnvError::EmptyKey
    } else if has(key, b'=') {
        EnvError::EqualsInKey { key: name_of(key) }
    } else if has(key, 0) {
        EnvError::NulInKey { key: key.to_owned() }
    } else if has(value, 0) {
        EnvError::NulInValue { key: key.to_owned() }
    } else {
        return Ok(());
    };
    Err(error)
}

/// The name as it may be shown: what stands behind an equals sign may be a value, and so a secret.
fn name_of(key: &OsStr) -> String {
    let name: Vec<u8> = key.as_encoded_bytes().iter().copied().take_while(|byte| *byte != b'=').collect();
    String::from_utf8_lossy(&name).into_owned()
}

/// Shows which variables are set and removed, and no value.
impl fmt::Debug for EnvEdits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = |set: bool| -> Vec<String> {
            self.edits
                .iter()
                .filter(|(_, value)| value.is_some() == set)
                .map(|(key, _)| name_of(key))
                .collect()
        };
        f.debug_struct("EnvEdits")
            .field("clear", &self.clear)
            .field("set", &keys(true))
            .field("removed", &keys(false))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        list.iter().map(|&(key, value)| (key.into(), value.into())).collect()
    }

    fn resolved(edits: &EnvEdits, base: &[(&str, &str)]) -> Result<Vec<(OsString, OsString)>, EnvError> {
        let base = base.iter().map(|&(key, value)| (OsStr::new(key), OsStr::new(value)));
        let variables = edits.resolve(base)?;
        Ok(variables.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    fn edits(make: impl FnOnce(&mut EnvEdits)) -> EnvEdits {
        let mut edits = EnvEdits::default();
        make(&mut edits);
        edits
    }

    fn set(edits: &mut EnvEdits, key: &str, value: &str) {
        edits.set(key.as_ref(), value.as_ref());
    }

    #[test]
    fn without_edits_the_environment_is_inherited() {
        assert!(EnvEdits::default().is_unedited());
        assert_eq!(resolved(&EnvEdits::default(), &[("A", "1")]), Ok(pairs(&[("A", "1")])));
    }

    #[test]
    fn edits_apply_in_order() {
        let edits = edits(|edits| {
            set(edits, "NEW", "first");
            set(edits, "NEW", "last");
            set(edits, "GONE", "x");
            edits.remove("GONE".as_ref());
            edits.remove("OLD".as_ref());
            edits.remove("BACK".as_ref());
            set(edits, "BACK", "again");
        });
        let base = &[("KEPT", "k"), ("OLD", "o"), ("BACK", "b"), ("BACK", "twice")];
        let expected = pairs(&[("KEPT", "k"), ("BACK", "again"), ("NEW", "last")]);
        assert_eq!(resolved(&edits, base), Ok(expected));
    }

    #[cfg(windows)]
    #[test]
    fn names_have_no_case_and_one_variable_survives_a_clear() {
        let base = &[("SystemRoot", "r"), ("Path", "p"), ("X", "x")];
        let two = |edits: &mut EnvEdits| {
            set(edits, "PATH", "1");
            set(edits, "pAtH", "2");
            edits.remove("x".as_ref());
        };
        assert_eq!(resolved(&edits(two), base), Ok(pairs(&[("SystemRoot", "r"), ("pAtH", "2")])));
        assert_eq!(resolved(&edits(EnvEdits::clear), base), Ok(pairs(&[("SystemRoot", "r")])));
        let none = edits(|edits| {
            edits.clear();
            edits.remove("SYSTEMROOT".as_ref());
        });
        assert_eq!(resolved(&none, base), Ok(Vec::new()));
    }

    #[test]
    fn clear_forgets_what_came_before_it() {
        let edits = edits(|edits| {
            set(edits, "bad=", "forgotten");
            edits.clear();
            set(edits, "A", "1");
            set(edits, "B", "2");
            edits.remove("A".as_ref());
        });
        assert_eq!(resolved(&edits, &[("OLD", "o")]), Ok(pairs(&[("B", "2")])));
        let cleared = self::edits(EnvEdits::clear);
        assert_eq!(resolved(&cleared, &[("OLD", "o")]), Ok(Vec::new()));
    }

    #[test]
    fn bad_variables_are_named_and_their_values_never_shown() {
        let secret = "hunter2\0";
        for (key, error) in [
            ("", EnvError::EmptyKey),
            ("A=hunter2", EnvError::EqualsInKey { key: "A".into() }),
            ("A\0", EnvError::NulInKey { key: "A\0".into() }),
            ("TOKEN", EnvError::NulInValue { key: "TOKEN".into() }),
        ] {
            let edits = edits(|edits| set(edits, key, secret));
            assert_eq!(resolved(&edits, &[]), Err(error.clone()), "{key:?}");
            for shown in [format!("{edits:?}"), format!("{error:?}"), error.to_string()] {
                assert!(!shown.contains("hunter2"), "{shown}");
            }
        }
        // Removing what can't exist is fine, and so is what somebody else has put into our environment.
        let edits = edits(|edits| edits.remove("A=B".as_ref()));
        assert_eq!(resolved(&edits, &[("=C:", "odd")]), Ok(pairs(&[("=C:", "odd")])));
    }

    #[test]
    fn programs_are_looked_up_in_the_path_of_the_child() {
        let mut inherited = Strings::new();
        inherited.push(&["PATH=/inherited".as_ref()]).unwrap();
        let path = |edits: EnvEdits| edits.look_up("PATH", &inherited).map(OsStr::to_owned);
        assert_eq!(path(EnvEdits::default()), Some("/inherited".into()));
        assert_eq!(path(edits(EnvEdits::clear)), None);
        assert_eq!(path(edits(|edits| edits.remove("PATH".as_ref()))), None);
        assert_eq!(path(edits(|edits| set(edits, "PATH", "/own"))), Some("/own".into()));
    }

    proptest! {
        /// Against a map that the edits are applied to one by one.
        #[test]
        fn edits_are_what_they_would_be_one_by_one(
            base in prop::collection::btree_map("[a-d]", "[^\\x00]{0,3}", 0..4),
            edits in prop::collection::vec((0..3u8, "[a-e]", "[x-z]"), 0..12),
        ) {
            let base: BTreeMap<OsString, OsString> =
                base.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
            let (mut model, mut real) = (base.clone(), EnvEdits::default());
            for (edit, key, value) in edits {
                let (key, value) = (OsString::from(key), OsString::from(value));
                match edit {
                    0 => { real.set(&key, &value); model.insert(key, value); }
                    1 => { real.remove(&key); model.remove(&key); }
                    _ => { real.clear(); model.clear(); }
                }
            }
            let variables = real.resolve(base.iter().map(|(key, value)| (&**key, &**value))).unwrap();
            let child: BTreeMap<OsString, OsString> =
                variables.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(child, model);
        }
    }
}
