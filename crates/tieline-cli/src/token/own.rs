//! The token that `send` and `receive` show to the server: from a file or from the environment, never from the command
//! line, which everybody on the machine can read.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use tieline::Token;

use crate::exit::{self, Failure};
use crate::files;
use crate::terminal::say;

/// The variable that may hold a token. It is not given to the commands of `receive`.
pub(crate) const VARIABLE: &str = "TIELINE_TOKEN";

/// The longest token, in bytes; a file that is longer is another.
const LENGTH_MAX: u64 = 1024;

/// Where the token is, if there is one.
#[allow(clippy::doc_markdown, reason = "the sentence is the flag's help")]
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TokenFrom {
    /// A file that holds the token for the server, readable by its owner alone [default: the variable TIELINE_TOKEN,
    /// if it is set]
    #[arg(long, value_name = "FILE", env = "TIELINE_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

impl TokenFrom {
    /// The token, if there is one. Says so if others can read its file.
    ///
    /// # Errors
    /// If the file can't be read, or what is there is no token.
    pub(crate) fn token(&self) -> Result<Option<Token>, Failure> {
        let (text, place) = match &self.token_file {
            Some(path) => (read(path)?, path.display().to_string()),
            None => match std::env::var_os(VARIABLE) {
                Some(value) => (value.into_string().map_err(|_| no_token(VARIABLE))?, VARIABLE.to_owned()),
                None => return Ok(None),
            },
        };
        let token = text.trim_end_matches(['\r', '\n']);
        if token.is_empty() || token.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(no_token(&place));
        }
        Ok(Some(Token::new(token)))
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let cannot = |error| Failure::new(exit::CONFIG, format!("the token in {} can't be read: {error}", path.display()));
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(LENGTH_MAX + 1).read_to_end(&mut text)).map_err(cannot)?;
    if text.len() as u64 > LENGTH_MAX {
        return Err(no_token(&path.display().to_string()));
    }
    if let Some(warning) = files::open_to_others(path) {
        say(format!("tieline: {warning}"));
    }
    String::from_utf8(text).map_err(|_| no_token(&path.display().to_string()))
}

/// What is there isn't repeated: it may be a token that was cut off.
fn no_token(place: &str) -> Failure {
    Failure::new(exit::CONFIG, format!("{place} holds no token: one is a single word of at most {LENGTH_MAX} bytes"))
}
