//! An AMQP server made of fe2o3-amqp's acceptors: eventhubs-interop-fe2o3 PORT. It stores nothing and reports what arrives, one JSON object a line.
use fe2o3_amqp::acceptor::{ConnectionAcceptor, LinkAcceptor, LinkEndpoint, SaslAnonymousMechanism, SessionAcceptor};
use fe2o3_amqp::types::messaging::{Body, Data};
use fe2o3_amqp::Receiver;
use serde_amqp::Value;
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};

fn report(address: &str, format: u32, sections: &[&Data]) {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    for Data(section) in sections {
        hash.update((section.len() as u32).to_be_bytes());
        hash.update(section.as_slice());
        bytes += section.len();
    }
    let hash: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    println!("{{\"arrived\": \"{address}\", \"format\": {format}, \"sections\": {}, \"bytes\": {bytes}, \"hash\": \"{hash}\"}}", sections.len());
}

async fn receive(mut receiver: Receiver) {
    let address = receiver.target().as_ref().and_then(|t| t.address.clone()).unwrap_or_default();
    loop {
        let delivery = match receiver.recv::<Body<Value>>().await {
            Ok(delivery) => delivery,
            Err(error) => {
                eprintln!("{address}: {error}");
                let _ = receiver.close().await;
                return;
            }
        };
        if let Body::Data(sections) = delivery.body() {
            report(&address, delivery.message_format().unwrap_or(0), &sections.iter().collect::<Vec<_>>());
        }
        if receiver.accept(&delivery).await.is_err() {
            return;
        }
    }
}

async fn serve(stream: TcpStream) {
    let acceptor = ConnectionAcceptor::builder().container_id("fe2o3").sasl_acceptor(SaslAnonymousMechanism {}).build();
    let mut connection = match acceptor.accept(stream).await {
        Ok(connection) => connection,
        Err(error) => return eprintln!("connection: {error:?}"),
    };
    let sessions = SessionAcceptor::new();
    while let Ok(mut session) = sessions.accept(&mut connection).await {
        tokio::spawn(async move {
            let links = LinkAcceptor::new();
            while let Ok(link) = links.accept(&mut session).await {
                if let LinkEndpoint::Receiver(receiver) = link {
                    tokio::spawn(receive(receiver));
                }
            }
        });
    }
}

#[tokio::main]
async fn main() {
    let port = std::env::args().nth(1).expect("a port");
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("to listen");
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream));
    }
}
