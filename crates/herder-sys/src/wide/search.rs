//! The files that a program name may mean.

use super::{is_word, unit};

/// What `CreateProcessW` can execute, in the order of the default `PATHEXT`.
const KNOWN: [&str; 4] = [".com", ".exe", ".bat", ".cmd"];

const DOT: u16 = unit(b'.');
const COLON: u16 = unit(b':');

/// The files to try in turn.
///
/// A name with a separator or a drive is a path. Any other is looked up in `folders`, and never in the current folder.
/// The extensions of `PATHEXT` are tried in its order, those at least that are programs; a name with a dot in it is
/// tried as it is before that. A path without an extension is tried as it is at the end.
pub(crate) fn candidates(program: &[u16], folders: &[Vec<u16>], path_ext: Option<&[u16]>) -> Vec<Vec<u16>> {
    let is_path = program.iter().any(|&letter| is_separator(letter) || letter == COLON);
    let names = spellings(program, path_ext, is_path);
    if is_path {
        return names;
    }
    let inside = |folder: &Vec<u16>| {
        let folder = folder.clone();
        names.iter().map(move |name| join(&folder, name)).collect::<Vec<_>>()
    };
    folders.iter().flat_map(inside).collect()
}

/// The folders of a `PATH`: without quotes, and without those that depend on the current folder.
pub(crate) fn folders(path: &[u16]) -> Vec<Vec<u16>> {
    let (mut all, mut quoted) = (vec![Vec::new()], false);
    for &letter in path {
        match (u8::try_from(letter), all.last_mut()) {
            (Ok(b'"'), _) => quoted = !quoted,
            (Ok(b';'), _) if !quoted => all.push(Vec::new()),
            (_, Some(folder)) => folder.push(letter),
            (_, None) => {}
        }
    }
    all.retain(|folder| is_absolute(folder));
    all
}

/// With a drive and a separator, or two separators: the same file whatever the current folder and drive are.
pub(crate) fn is_absolute(path: &[u16]) -> bool {
    match *path {
        [one, two, ..] if is_separator(one) => is_separator(two),
        [_, COLON, three, ..] => is_separator(three),
        _ => false,
    }
}

pub(crate) fn is_separator(letter: u16) -> bool {
    letter == unit(b'\\') || letter == unit(b'/')
}

/// A file in a folder.
pub(crate) fn join(folder: &[u16], name: &[u16]) -> Vec<u16> {
    let mut path = folder.to_vec();
    if !path.last().is_some_and(|&letter| is_separator(letter)) {
        path.push(unit(b'\\'));
    }
    path.extend_from_slice(name);
    path
}

fn spellings(program: &[u16], path_ext: Option<&[u16]>, is_path: bool) -> Vec<Vec<u16>> {
    let file = program.rsplit(|&letter| is_separator(letter)).next().unwrap_or_default();
    // A dot at the end says that there is no extension.
    if file.last() == Some(&DOT) {
        return vec![program.to_vec()];
    }
    let extended = extensions(path_ext).into_iter().map(|extension| [program, &extension].concat());
    let dotted = file.contains(&DOT);
    let before = dotted.then(|| program.to_vec());
    let behind = (is_path && !dotted).then(|| program.to_vec());
    before.into_iter().chain(extended).chain(behind).collect()
}

/// The extensions of a `PATHEXT` that are programs; all that there are, if it names none.
fn extensions(path_ext: Option<&[u16]>) -> Vec<Vec<u16>> {
    let named = path_ext.unwrap_or_default().split(|&letter| letter == unit(b';'));
    let programs = |extension: &&[u16]| KNOWN.iter().any(|known| is_word(extension, known));
    let found: Vec<_> = named.filter(programs).map(<[u16]>::to_vec).collect();
    if found.is_empty() { KNOWN.iter().map(|known| known.encode_utf16().collect()).collect() } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    fn found(program: &str, path: &str, path_ext: Option<&str>) -> Vec<String> {
        let path_ext = path_ext.map(wide);
        let files = candidates(&wide(program), &folders(&wide(path)), path_ext.as_deref());
        files.iter().map(|file| String::from_utf16(file).unwrap()).collect()
    }

    #[test]
    fn a_name_is_looked_up_in_each_folder_with_each_extension() {
        let files = found("tool", r"C:\a;D:\b\", Some(".EXE;.bat"));
        assert_eq!(files, [r"C:\a\tool.EXE", r"C:\a\tool.bat", r"D:\b\tool.EXE", r"D:\b\tool.bat"]);
    }

    #[test]
    fn a_dot_is_an_extension_first_and_a_part_of_the_name_then() {
        assert_eq!(found("py3.11", r"C:\a", Some(".EXE")), [r"C:\a\py3.11", r"C:\a\py3.11.EXE"]);
        assert_eq!(found("tool.", r"C:\a", Some(".EXE")), [r"C:\a\tool."]);
    }

    #[test]
    fn what_is_no_program_is_no_extension() {
        assert_eq!(found("x", r"C:\a", Some(".JS;.CMD;.MSC")), [r"C:\a\x.CMD"]);
        let all = [r"C:\a\x.com", r"C:\a\x.exe", r"C:\a\x.bat", r"C:\a\x.cmd"];
        assert_eq!(found("x", r"C:\a", None), all);
        assert_eq!(found("x", r"C:\a", Some(".JS")), all);
    }

    #[test]
    fn the_current_folder_is_never_looked_into() {
        for path in ["", ";", ".;", r"here;.\there;\rooted;C:rel"] {
            assert_eq!(found("x", path, None), [""; 0], "{path}");
        }
        assert_eq!(
            found("x", r#""C:\a;b";\\host\share"#, Some(".EXE")),
            [r"C:\a;b\x.EXE", r"\\host\share\x.EXE"]
        );
    }

    #[test]
    fn a_path_is_itself_with_extensions() {
        assert_eq!(found(r"C:\x\y", r"C:\a", Some(".EXE")), [r"C:\x\y.EXE", r"C:\x\y"]);
        assert_eq!(found("./y.sh", r"C:\a", Some(".EXE")), ["./y.sh", "./y.sh.EXE"]);
        assert_eq!(found("C:y", "", Some(".EXE")), ["C:y.EXE", "C:y"]);
    }
}
