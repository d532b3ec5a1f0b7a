//! What a browser gets: the dashboard at `/`, and the client for pages at `/tieline/index.js`. All of it is in the binary,
//! and none of it asks any other server for anything.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::routing::get;

/// What the page may do: run what comes from here, and speak with whom it came from.
const POLICY: &str =
    "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Paths, and the files that they are.
macro_rules! files {
    ($($path:literal = $file:literal),+ $(,)?) => {
        &[$(($path, $file, include_str!(concat!("../assets/", $file)))),+]
    };
}

const FILES: &[(&str, &str, &str)] = files! {
    "/" = "dashboard/index.html",
    "/dashboard/api.js" = "dashboard/api.js",
    "/dashboard/channel.js" = "dashboard/channel.js",
    "/dashboard/channels.js" = "dashboard/channels.js",
    "/dashboard/chart.js" = "dashboard/chart.js",
    "/dashboard/drawer.js" = "dashboard/drawer.js",
    "/dashboard/format.js" = "dashboard/format.js",
    "/dashboard/icon.svg" = "dashboard/icon.svg",
    "/dashboard/main.js" = "dashboard/main.js",
    "/dashboard/overview.js" = "dashboard/overview.js",
    "/dashboard/parts.css" = "dashboard/parts.css",
    "/dashboard/request.js" = "dashboard/request.js",
    "/dashboard/send.js" = "dashboard/send.js",
    "/dashboard/series.js" = "dashboard/series.js",
    "/dashboard/style.css" = "dashboard/style.css",
    "/dashboard/table.js" = "dashboard/table.js",
    "/dashboard/tiles.js" = "dashboard/tiles.js",
    "/tieline/connection.js" = "tieline/connection.js",
    "/tieline/download.js" = "tieline/download.js",
    "/tieline/growth.js" = "tieline/growth.js",
    "/tieline/errors.js" = "tieline/errors.js",
    "/tieline/index.js" = "tieline/index.js",
    "/tieline/receive.js" = "tieline/receive.js",
    "/tieline/reply.js" = "tieline/reply.js",
    "/tieline/sending.js" = "tieline/sending.js",
    "/tieline/taking.js" = "tieline/taking.js",
    "/tieline/upload.js" = "tieline/upload.js",
    "/tieline/wire.js" = "tieline/wire.js",
};

pub(crate) fn router() -> Router {
    FILES.iter().fold(Router::new(), |router, &(path, file, text)| {
        let headers = headers(file);
        router.route(path, get(async move || (headers, text)))
    })
}

fn headers(file: &str) -> HeaderMap {
    let kind = match file.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
    [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        // Another version of the server has other pages, and nothing in their names says which.
        (CACHE_CONTROL, "no-cache"),
    ]
    .into_iter()
    .map(|(name, value)| (name, HeaderValue::from_static(value)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_is_served_and_every_import_leads_to_one() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        let mut found: Vec<_> = ["dashboard", "tieline"]
            .iter()
            .flat_map(|sub| std::fs::read_dir(format!("{folder}/{sub}")).unwrap())
            .map(|entry| entry.unwrap().path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned())
            .collect();
        let mut served: Vec<_> = FILES.iter().map(|(_, file, _)| (*file).to_owned()).collect();
        found.sort();
        served.sort();
        assert_eq!(found, served);
        for (path, _, text) in FILES {
            for import in
                text.split("from \"").skip(1).filter_map(|rest| rest.split_once('"').map(|(import, _)| import))
            {
                let target = match import.strip_prefix("./") {
                    Some(name) => format!("{}/{name}", path.rsplit_once('/').unwrap().0),
                    None => import.to_owned(),
                };
                assert!(FILES.iter().any(|(path, ..)| *path == target), "{path} imports {import}");
            }
        }
    }

    #[test]
    fn pages_ask_no_other_server_for_anything() {
        for (path, _, text) in FILES {
            let addresses = text.matches("://").count() - text.matches("http://www.w3.org/2000/svg").count();
            assert_eq!(addresses, 0, "{path}");
        }
    }
}
