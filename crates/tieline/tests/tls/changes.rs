//! Certificates that change while both sides live.

use std::fs;

use tieline::{Body, Client, Status, TlsOptions};

use crate::certs::Authority;
use crate::{Server, bounded, echo};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_streams_on_across_a_change_and_new_clients_see_the_new_certificate() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        tokio::spawn(client.receive("echo").await.unwrap().serve(2, echo));
        let (mut body, source) = Body::channel();
        let asking = tokio::spawn(client.send("echo").body(source).send());
        body.send("before").await.unwrap();
        let mut response = asking.await.unwrap().unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "before");

        let new = Authority::new();
        server.tls.replace(new.server(&["127.0.0.1"]).config(None));

        body.send("behind").await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "behind");
        assert!(server.connect(server.trusting()).await.is_err(), "the old authority is of no use any more");
        let newcomer = server.connect(TlsOptions::new().authority(new.pem())).await.unwrap();
        assert_eq!(newcomer.send("echo").body("hello").await.unwrap().collect().await.unwrap(), "hello");
        body.finish();
        assert_eq!(response.chunk().await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_reads_its_files_anew_for_each_connection() {
    bounded(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let first = Server::start().await;
        fs::write(&path, first.authority.pem()).unwrap();
        let options = TlsOptions::new().authority_file(&path);
        let client = Client::builder().server(format!("tls://{}", first.address)).tls(options).connect_timeout(None);
        let client = client.connect().await.unwrap();

        let mut status = client.status();
        let address = first.address;
        // Another server comes to the same place, with another authority.
        let authority = Authority::new();
        fs::write(&path, authority.pem()).unwrap();
        first.killed().await;
        status.wait_for(|status| *status != Status::Connected).await.unwrap();
        let config = authority.server(&["127.0.0.1"]).config(None);
        let second = Server::at(address, authority, config).await;
        status.wait_for(|status| *status == Status::Connected).await.unwrap();

        // A file that is no good any more changes nothing.
        fs::write(&path, "nonsense").unwrap();
        let authority = second.killed().await;
        status.wait_for(|status| *status != Status::Connected).await.unwrap();
        let config = authority.server(&["127.0.0.1"]).config(None);
        let _third = Server::at(address, authority, config).await;
        status.wait_for(|status| *status == Status::Connected).await.unwrap();
    })
    .await;
}
