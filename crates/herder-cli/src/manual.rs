//! The manual pages, made from the same words as the help.

use clap::CommandFactory;

use crate::args::Cli;

/// The page of `herder`, or of one of its commands, in roff.
pub(crate) fn page(command: Option<&str>) -> Result<Vec<u8>, String> {
    let mut cli = Cli::command();
    cli.build();
    let command = match command {
        None => cli,
        Some(name) => {
            let found = cli.get_subcommands().find(|command| command.get_name() == name).cloned();
            let found = found.ok_or_else(|| format!("no command {name:?}; `herder help` lists them"))?;
            // As in git-log(1).
            found.display_name(format!("herder-{name}"))
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(|error| error.to_string())?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_have_their_names_and_options() {
        let text = |name| String::from_utf8(page(name).unwrap()).unwrap();
        assert!(text(None).contains(".TH herder 1"));
        let run = text(Some("run"));
        assert!(run.contains(".TH herder-run 1"), "{}", &run[..200]);
        assert!(run.contains("kill\\-after") && run.contains("Exit codes"), "{run}");
        assert!(page(Some("nope")).is_err());
    }
}
