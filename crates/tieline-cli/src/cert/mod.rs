//! `tieline cert`: certificates. Today those for development; others come from an authority that people trust.
//!
//! [`make`] makes them, [`write`] puts them into files.

mod make;
mod write;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use self::make::Made;
use crate::exit::{self, Failure};
use crate::terminal::say;

/// What `tieline cert` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

/// What `tieline cert` can do.
#[derive(Subcommand, Debug)]
enum What {
    /// Make an authority and certificates for development, good for 90 days
    Dev(DevArgs),
}

/// What `tieline cert dev` is told.
#[derive(clap::Args, Debug)]
struct DevArgs {
    /// The folder to write them into
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,

    /// A further name or address of the server, beside localhost and the loopback addresses; may be repeated
    #[arg(long, value_name = "NAME", value_parser = host)]
    host: Vec<String>,

    /// Also make a certificate for a client of this name; may be repeated
    #[arg(long, value_name = "NAME", value_parser = client)]
    client: Vec<String>,

    /// Replace files that are there; all are made anew, by a new authority
    #[arg(long)]
    force: bool,
}

/// The names that each server has for itself.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes certificates.
///
/// # Errors
/// If files are there already and weren't to be replaced, or can't be written.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let What::Dev(args) = &args.what;
    let mut hosts: Vec<_> = LOCAL.map(str::to_owned).into();
    hosts.extend(args.host.iter().filter(|host| !LOCAL.contains(&host.as_str())).cloned());
    let made = make::development(&hosts, &args.client).map_err(|words| Failure::new(exit::INTERNAL, words))?;
    write::all(&args.dir, &made, args.force)?;
    say(told(&args.dir, &hosts, &args.client, &made));
    Ok(())
}

/// What was made, and the commands that use it.
fn told(dir: &Path, hosts: &[String], clients: &[String], made: &[Made]) -> String {
    let file = |name: &str| quoted(&dir.join(name));
    let mut lines =
        vec![format!("certificates for development, for {}, good for {} days:", hosts.join(", "), make::DAYS)];
    let width = made.iter().map(|made| file(&made.name).len()).max().unwrap_or(0);
    for Made { name, about, .. } in made {
        lines.push(format!("  {:<width$}  {about}", file(name)));
    }
    lines.push("The authority's own key was not kept: nobody can sign more with it.".to_owned());
    lines.push(String::new());
    let (ca, cert, key) = (file(make::CA), file(make::SERVER), file(make::SERVER_KEY));
    let server = format!("  tieline serve --tls-cert {cert} --tls-key {key}");
    let sender = format!("  tieline send CHANNEL --server tls://localhost:7070 --ca {ca}");
    match clients.first() {
        None => lines.extend([server, sender]),
        Some(client) => {
            let (cert, key) = (file(&make::client(client)), file(&make::client_key(client)));
            lines.push(format!("{server} --tls-client-ca {ca}"));
            lines.push(format!("{sender} --cert {cert} --key {key}"));
        }
    }
    lines.join("\n")
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+,@%=:".contains(c));
    if is_plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// A name that a certificate of a server can have.
fn host(text: &str) -> Result<String, String> {
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    let is_name = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-.*_".contains(c));
    if is_address || is_name { Ok(text.to_owned()) } else { Err("write a host's name, or an IP address".to_owned()) }
}

/// A name that can stand in a file's.
fn client(text: &str) -> Result<String, String> {
    let is_fine = text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if is_fine && (1..=64).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("write letters, digits, '-', '_' and '.', 64 at most".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted(Path::new("certs/ca.pem")), "certs/ca.pem");
        assert_eq!(quoted(Path::new("my certs/it's")), r"'my certs/it'\''s'");
    }

    #[test]
    fn names_that_can_not_be_are_refused() {
        assert!(host("bus.example").is_ok() && host("::1").is_ok() && host("*.bus.example").is_ok());
        assert!(host("").is_err() && host("a b").is_err() && host("http://a").is_err());
        assert!(client("worker-1").is_ok());
        assert!(client("").is_err() && client("../x").is_err() && client(&"x".repeat(65)).is_err());
    }
}
