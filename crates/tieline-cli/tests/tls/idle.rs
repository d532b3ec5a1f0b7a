//! What a connection over TLS costs the server that does nothing.

use tieline::{Client, TlsOptions};

use crate::Certs;
use crate::support::resident_memory;

/// What an idle connection may cost the server, in bytes.
const BOUND: u64 = 16 * 1024;

const FIRST: usize = 100;
const MORE: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_costs_the_server_at_most_16_kib() {
    let certs = Certs::new(&[]);
    let server = certs.server(&[]);
    let clients = connect(&certs, &server.address, FIRST).await;
    let before = resident_memory(server.running.id());
    let more = connect(&certs, &server.address, MORE).await;
    let each = resident_memory(server.running.id()).saturating_sub(before) / MORE as u64;
    println!("{each} bytes each");
    assert!(each <= BOUND, "{each} bytes each");
    drop((clients, more));
}

/// Clients that are ready to receive, so that the server has greeted them and written all that it has to.
async fn connect(certs: &Certs, address: &str, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let options = TlsOptions::new().authority_file(certs.path("ca.pem"));
        clients.push(Client::builder().server(address).tls(options).connect().await.unwrap());
    }
    clients
}
