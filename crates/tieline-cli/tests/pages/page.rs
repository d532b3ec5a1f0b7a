//! A document's blocks of code, and what is to be done with each.

/// What is to be done with a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Script,
    Terminal,
    Session,
    NotRun,
}

/// A block of code.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    pub(crate) code: String,
    /// Where it begins in its document.
    pub(crate) line: usize,
}

/// All blocks of a document, in order.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut is_excused = false;
    while let Some((number, line)) = lines.next() {
        if let Some(reason) = line.strip_prefix("<!-- not run: ") {
            assert!(reason.trim_end_matches("-->").trim().len() > 5, "line {}: no reason", number + 1);
            is_excused = true;
        } else if let Some(info) = line.strip_prefix("```") {
            let code: String = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").fold(
                String::new(),
                |mut code, line| {
                    code.push_str(line);
                    code.push('\n');
                    code
                },
            );
            let kind = match info {
                _ if is_excused => Kind::NotRun,
                "sh" => Kind::Script,
                "sh background" => Kind::Terminal,
                "console" => Kind::Session,
                _ => Kind::NotRun,
            };
            found.push(Block { kind, code, line: number + 1 });
            is_excused = false;
        }
    }
    found
}

/// The commands of a session, each with the lines that it is to print.
pub(crate) fn commands(session: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in session.lines() {
        match (line.strip_prefix("$ "), line.strip_prefix("> "), found.last_mut()) {
            (Some(command), _, _) => found.push((command.to_owned(), Vec::new())),
            // A command that goes on, as the shell shows it.
            (_, Some(more), Some((command, printed))) if printed.is_empty() => {
                command.push('\n');
                command.push_str(more);
            }
            (_, _, Some((_, printed))) => printed.push(line.to_owned()),
            (_, _, None) => panic!("a session begins with a command: {line}"),
        }
    }
    found
}

/// Whether this was printed, where `…` stands for anything.
pub(crate) fn matches(wanted: &[String], printed: &[String]) -> bool {
    match wanted.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "…" => (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..])),
        Some((first, rest)) => {
            printed.split_first().is_some_and(|(line, more)| line_matches(first, line) && matches(rest, more))
        }
    }
}

fn line_matches(wanted: &str, line: &str) -> bool {
    let mut pieces = wanted.split('…');
    let Some(mut rest) = line.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}

#[test]
fn an_ellipsis_stands_for_anything_in_a_line_or_for_lines() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(matches(&lines("a … c\n…\nend"), &lines("a bb c\nmore\nand more\nend")));
    assert!(matches(&lines("…"), &[]));
    assert!(!matches(&lines("a … c"), &lines("a bb d")));
    assert!(!matches(&lines("a"), &lines("a\nb")));
    assert!(!matches(&lines("a\nb"), &lines("a")));
}

#[test]
fn a_block_is_run_by_its_language_unless_a_reason_stands_above_it() {
    let text = "```sh\ntrue\n```\n<!-- not run: it needs a network -->\n```sh\nfalse\n```\n```toml\na = 1\n```\n";
    let kinds: Vec<_> = blocks(text).iter().map(|block| block.kind).collect();
    assert_eq!(kinds, [Kind::Script, Kind::NotRun, Kind::NotRun]);
}
