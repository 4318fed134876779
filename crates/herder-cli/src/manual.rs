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
    let extra = command
        .get_after_long_help()
        .or_else(|| command.get_after_help())
        .map(|text| sections(&text.to_string()));
    let has_subcommands = command.has_subcommands();
    let man = clap_mangen::Man::new(command).source(concat!("herder ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page))
        .and_then(|()| if has_subcommands { man.render_subcommands_section(&mut page) } else { Ok(()) })
        .map_err(|error| error.to_string())?;
    page.extend(extra.unwrap_or_default().into_bytes());
    Ok(page)
}

/// The text behind the options, in roff: paragraphs are filled, examples and rows of tables stay as they are.
fn sections(text: &str) -> String {
    let mut roff = String::new();
    for line in text.lines() {
        match line.strip_prefix("  ") {
            None if line.is_empty() => roff.push_str(".PP\n"),
            None => match line.strip_suffix(':') {
                Some(heading) => roff.extend([".SH ", &escape(&heading.to_uppercase()), "\n"]),
                None => roff.extend([".PP\n", &escape(line), "\n"]),
            },
            Some(line) if is_verbatim(line) => {
                roff.extend([".nf\n", &escape(line), "\n.fi\n"]);
            }
            Some(line) => roff.extend([&escape(line), "\n"]),
        }
    }
    roff
}

fn is_verbatim(line: &str) -> bool {
    line.starts_with(' ') || line.starts_with("herder ") || line.contains("   ")
}

/// Text that is only text: no line of it begins as a request does.
fn escape(line: &str) -> String {
    let text = line.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::help;

    #[test]
    fn the_pages_have_their_names_and_options() {
        let text = |name| String::from_utf8(page(name).unwrap()).unwrap();
        assert!(text(None).contains(".TH herder 1"));
        let run = text(Some("run"));
        assert!(run.contains(".TH herder-run 1"), "{}", &run[..200]);
        assert!(run.contains("kill\\-after") && run.contains(".SH EXIT CODES"), "{run}");
        assert!(run.contains(".nf\n  herder run \\-t 10m \\-k 30s make test\n.fi\n"), "{run}");
        assert!(page(Some("nope")).is_err());
    }

    #[test]
    fn text_is_not_taken_for_requests() {
        assert_eq!(sections("Of .dots:\n  .so\n\n  Ctrl-\\"), ".SH OF .DOTS\n\\&.so\n.PP\nCtrl\\-\\e\n");
    }

    #[test]
    fn examples_and_tables_fit_between_the_margins() {
        for text in [help::MAIN, help::COMPLETIONS, help::MAN, help::DOCTOR, help::INIT_LONG, help::RUN_LONG]
        {
            let page = sections(text);
            for row in page.split(".nf\n").skip(1).filter_map(|block| block.lines().next()) {
                assert!(row.replace("\\-", "-").replace("\\e", "\\").len() <= 73, "{row}");
            }
        }
    }
}
