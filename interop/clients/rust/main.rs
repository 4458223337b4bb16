//! Runs the checks named on the command line with Azure's client for Rust and prints its observations.
//!
//! Each line of output is a JSON object. The runner in ../.. compares it with the emulator's events. The environment has
//! the connection strings, the list of keys and the like (see ../../world.go). The variable SSL_CERT_FILE names the
//! authorities that the client trusts.

use azure_core::time::Duration;
use azure_messaging_eventhubs::{
    error::ErrorKind, models::AmqpTransport, models::ReceivedEventData, BufferedProducerClient, ConsumerClient,
    EnqueueEventOptions, EventDataBatchOptions, EventHubsError, OpenReceiverOptions, ProducerClient, RetryOptions,
    SendEventOptions, StartLocation, StartPosition,
};
use futures::StreamExt;
use serde_json::{json, Value};
use std::{
    env,
    error::Error,
    fs,
    future::Future,
    sync::{Arc, Mutex},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

type Anything<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The longest wait of a check.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(40);

/// How a client reaches the emulator.
#[derive(Clone, Copy)]
enum Route {
    Plain,
    Tls,
    WebSocket,
}

impl Route {
    /// The connection string. The client takes only host and key from it, so the endpoint has the port.
    fn connection_string(self) -> String {
        match self {
            Route::Plain => variable("INTEROP_CONNECTION_STRING"),
            _ => variable("INTEROP_SERVICE_CONNECTION_STRING"),
        }
    }

    fn endpoint(self) -> String {
        match self {
            Route::Plain => endpoint_in(&self.connection_string()),
            Route::Tls => format!("amqps://{}", variable("INTEROP_TLS_ADDRESS")),
            Route::WebSocket => format!("amqps://{}", variable("INTEROP_WEBSOCKET_ADDRESS")),
        }
    }

    fn transport(self) -> AmqpTransport {
        match self {
            Route::WebSocket => AmqpTransport::WebSocket,
            _ => AmqpTransport::Tcp,
        }
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// The address of plain AMQP in a connection string of the emulator.
fn endpoint_in(connection_string: &str) -> String {
    let part = connection_string.split(';').find_map(|part| part.strip_prefix("Endpoint=sb://"));
    format!("amqp://{}", part.expect("the connection string has an endpoint").trim_end_matches('/'))
}

fn retries(max: u32) -> RetryOptions {
    RetryOptions {
        initial_delay: Duration::milliseconds(100),
        max_delay: Duration::seconds(1),
        max_total_elapsed: Duration::seconds(20),
        max_retries: max,
    }
}

async fn producer(hub: &str, route: Route) -> Result<ProducerClient, EventHubsError> {
    ProducerClient::builder()
        .with_retry_options(retries(4))
        .with_custom_endpoint(route.endpoint())
        .with_transport(route.transport())
        .open_with_connection_string(&route.connection_string(), Some(hub))
        .await
}

async fn consumer(hub: &str, route: Route, retry: RetryOptions) -> Result<ConsumerClient, EventHubsError> {
    ConsumerClient::builder()
        .with_retry_options(retry)
        .with_custom_endpoint(route.endpoint())
        .with_transport(route.transport())
        .open_with_connection_string(&route.connection_string(), Some(hub))
        .await
}

/// Closes a client. It may find its connection closed by the emulator already, which it reports.
async fn close(closing: impl Future<Output = Result<(), EventHubsError>>) {
    if let Err(error) = closing.await {
        eprintln!("closing: {error}");
    }
}

fn body(i: usize) -> String {
    format!("event-{i}")
}

fn milliseconds(time: Option<SystemTime>) -> Option<u128> {
    time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_millis())
}

fn seen(partition: &str, event: &ReceivedEventData) -> Value {
    json!({
        "partition": partition,
        "sequence": event.sequence_number(),
        "offset": event.offset(),
        "time": milliseconds(event.enqueued_time()),
        "key": event.partition_key().clone().unwrap_or_default(),
        "body": String::from_utf8_lossy(event.event_data().body().unwrap_or_default()),
    })
}

/// Sends events in one batch.
async fn send(producer: &ProducerClient, bodies: Vec<String>, options: EventDataBatchOptions) -> Anything<()> {
    let batch = producer.create_batch(Some(options)).await?;
    for body in bodies {
        if !batch.try_add_event_data(body, None)? {
            return Err("a small batch is full".into());
        }
    }
    Ok(producer.send_batch(batch, None).await?)
}

fn to_partition(id: &str) -> EventDataBatchOptions {
    EventDataBatchOptions { partition_id: Some(id.into()), ..Default::default() }
}

fn with_key(key: &str) -> EventDataBatchOptions {
    EventDataBatchOptions { partition_key: Some(key.into()), ..Default::default() }
}

async fn publish(hub: &str, key: Option<&str>) -> Anything<Value> {
    let producer = producer(hub, Route::Plain).await?;
    let options = key.map(with_key).unwrap_or_default();
    send(&producer, (0..10).map(body).collect(), options).await?;
    close(producer.close()).await;
    Ok(json!({ "key": key.unwrap_or_default() }))
}

async fn publish_to_partitions(hub: &str) -> Anything<Value> {
    let producer = producer(hub, Route::Plain).await?;
    for id in ["0", "1", "2", "3"] {
        let options = SendEventOptions { partition_id: Some(id.into()) };
        producer.send_event(format!("partition-{id}"), Some(options)).await?;
    }
    close(producer.close()).await;
    Ok(json!({}))
}

async fn publish_full_batch(hub: &str) -> Anything<Value> {
    let producer = producer(hub, Route::Plain).await?;
    // A batch does not show its limit. The refusal of a larger one does.
    let options = EventDataBatchOptions { max_size_in_bytes: Some(u64::MAX), ..Default::default() };
    let limit = match producer.create_batch(Some(options)).await {
        Err(EventHubsError { kind: ErrorKind::InvalidBatchSize { max_allowed, .. } }) => max_allowed,
        Err(error) => return Err(error.into()),
        Ok(_) => return Err("a batch of any size was accepted".into()),
    };
    let batch = producer.create_batch(None).await?;
    while batch.try_add_event_data(format!("{:.<1000}", body(batch.len())), None)? {}
    let (events, bytes) = (batch.len(), batch.size());
    producer.send_batch(batch, None).await?;
    close(producer.close()).await;
    Ok(json!({ "events": events, "bytes": bytes, "limit": limit }))
}

async fn buffered(hub: &str) -> Anything<Value> {
    let failures = Arc::new(Mutex::new(Vec::new()));
    let told = failures.clone();
    let producer = BufferedProducerClient::builder()
        .with_retry_options(retries(4))
        .with_custom_endpoint(Route::Plain.endpoint())
        .with_max_wait_time(Duration::milliseconds(50))
        .with_on_send_failed(move |failed| {
            told.lock().expect("no handler panics").push(failed.error.to_string());
            async {}
        })
        .open_with_connection_string(&Route::Plain.connection_string(), Some(hub))
        .await?;
    for i in 0..500 {
        let partition_key = (i % 2 == 1).then(|| format!("key-{}", i % 20));
        let options = EnqueueEventOptions { partition_key, ..Default::default() };
        producer.enqueue_event(body(i), Some(options)).await?;
    }
    producer.flush().await?;
    close(producer.close()).await;
    let failures = failures.lock().expect("no handler panics");
    match failures.first() {
        Some(failure) => Err(format!("{} batches failed: {failure}", failures.len()).into()),
        None => Ok(json!({ "events": 500 })),
    }
}

async fn properties(hub: &str) -> Anything<Value> {
    let producer = producer(hub, Route::Plain).await?;
    send(&producer, (0..5).map(body).collect(), to_partition("1")).await?;
    let about = producer.get_eventhub_properties().await?;
    let mut partitions = Vec::new();
    for id in &about.partition_ids {
        let p = producer.get_partition_properties(id).await?;
        partitions.push(json!({
            "id": p.id,
            "first": p.beginning_sequence_number,
            "last": p.last_enqueued_sequence_number,
            "offset": p.last_enqueued_offset,
            "time": milliseconds(p.last_enqueued_time_utc),
            "empty": p.is_empty,
        }));
    }
    close(producer.close()).await;
    Ok(json!({ "hub": about.name, "partitions": partitions }))
}

fn options(start: StartPosition, owner_level: Option<i64>) -> OpenReceiverOptions {
    OpenReceiverOptions { start_position: Some(start), owner_level, ..Default::default() }
}

fn earliest() -> StartPosition {
    StartPosition { location: StartLocation::Earliest, inclusive: false }
}

/// Reads the only partition to the event with sequence number 19.
async fn read(hub: &str, route: Route, start: StartPosition) -> Anything<Vec<ReceivedEventData>> {
    let consumer = consumer(hub, route, retries(4)).await?;
    let receiver = consumer.open_receiver_on_partition("0".into(), Some(options(start, None))).await?;
    let mut received = Vec::new();
    {
        let mut events = receiver.stream_events();
        while received.last().and_then(ReceivedEventData::sequence_number) != Some(19) {
            let event = tokio::time::timeout(DEADLINE, events.next()).await?;
            received.push(event.ok_or("the stream ended")??);
        }
    }
    close(receiver.close()).await;
    close(consumer.close()).await;
    Ok(received)
}

/// Publishes 20 events one by one, and reads from the position that `at` makes of the eighth.
async fn read_from(hub: &str, at: fn(&ReceivedEventData) -> (StartPosition, Value)) -> Anything<Value> {
    let producer = producer(hub, Route::Plain).await?;
    for i in 0..20 {
        send(&producer, vec![body(i)], to_partition("0")).await?;
    }
    close(producer.close()).await;
    let everything = read(hub, Route::Plain, earliest()).await?;
    let (position, start) = at(everything.get(7).ok_or("there is no eighth event")?);
    let received = read(hub, Route::Plain, position).await?;
    Ok(json!({ "start": start, "received": received.iter().map(|e| seen("0", e)).collect::<Vec<_>>() }))
}

fn from_start(_: &ReceivedEventData) -> (StartPosition, Value) {
    (earliest(), json!({ "by": "start" }))
}

fn from_offset(event: &ReceivedEventData) -> (StartPosition, Value) {
    let offset = event.offset().clone().unwrap_or_default();
    let location = StartLocation::Offset(offset.clone());
    (StartPosition { location, inclusive: false }, json!({ "by": "offset", "offset": offset, "inclusive": false }))
}

fn from_sequence(event: &ReceivedEventData) -> (StartPosition, Value) {
    let sequence = event.sequence_number().unwrap_or_default();
    let location = StartLocation::SequenceNumber(sequence);
    (StartPosition { location, inclusive: true }, json!({ "by": "sequence", "sequence": sequence, "inclusive": true }))
}

fn from_time(event: &ReceivedEventData) -> (StartPosition, Value) {
    let time = event.enqueued_time().unwrap_or(UNIX_EPOCH);
    let start = json!({ "by": "time", "time": milliseconds(Some(time)), "inclusive": false });
    (StartPosition { location: StartLocation::EnqueuedTime(time), inclusive: false }, start)
}

async fn echo(hub: &str, route: Route) -> Anything<Value> {
    let producer = producer(hub, route).await?;
    send(&producer, (0..20).map(body).collect(), to_partition("0")).await?;
    close(producer.close()).await;
    let received = read(hub, route, earliest()).await?;
    Ok(json!({ "start": { "by": "start" }, "received": received.iter().map(|e| seen("0", e)).collect::<Vec<_>>() }))
}

/// Sends an event with each key, over several producers, since each waits for the outcome of its last send.
async fn key_routing(hub: &str) -> Anything<Value> {
    const PRODUCERS: usize = 10;
    let keys: Vec<String> = serde_json::from_slice(&fs::read(variable("INTEROP_KEYS"))?)?;
    let send_all = |keys: Vec<String>| async move {
        let producer = producer(hub, Route::Plain).await?;
        for key in keys {
            send(&producer, vec![key.clone()], with_key(&key)).await?;
        }
        close(producer.close()).await;
        Anything::Ok(())
    };
    let share = keys.len().div_ceil(PRODUCERS);
    futures::future::try_join_all(keys.chunks(share).map(|keys| send_all(keys.to_vec()))).await?;
    Ok(json!({})) // the resolver of the buffered producer is not public
}

fn refusal(error: &EventHubsError) -> Value {
    let text = format!("{:?}", error.kind);
    let code = text.split(['(', ' ']).next().unwrap_or_default();
    json!({ "code": code, "message": error.to_string() })
}

/// A receiver with an owner level, and its events.
struct Owner {
    next: tokio::sync::mpsc::UnboundedReceiver<Result<(), EventHubsError>>,
}

impl Owner {
    async fn new(hub: &str, level: i64) -> Anything<Owner> {
        let consumer = consumer(hub, Route::Plain, retries(0)).await?;
        let (sender, next) = tokio::sync::mpsc::unbounded_channel();
        // Ends with the receiver's error, or when nobody listens any more.
        tokio::spawn(async move {
            let receiver = match consumer
                .open_receiver_on_partition("0".into(), Some(options(earliest(), Some(level))))
                .await
            {
                Ok(receiver) => receiver,
                Err(error) => return drop(sender.send(Err(error))),
            };
            let mut events = receiver.stream_events();
            while let Some(event) = events.next().await {
                if sender.send(event.map(|_| ())).is_err() {
                    break;
                }
            }
        });
        Ok(Owner { next })
    }

    async fn take(&mut self) -> Anything<Result<(), EventHubsError>> {
        Ok(tokio::time::timeout(DEADLINE, self.next.recv()).await?.ok_or("the receiver ended without an error")?)
    }

    async fn refusal(mut self) -> Anything<Value> {
        loop {
            if let Err(error) = self.take().await? {
                return Ok(refusal(&error));
            }
        }
    }
}

async fn epoch_stealing(hub: &str) -> Anything<Value> {
    let producer = producer(hub, Route::Plain).await?;
    send(&producer, vec![body(0)], to_partition("0")).await?;
    close(producer.close()).await;
    let mut first = Owner::new(hub, 1).await?;
    first.take().await??;
    let mut second = Owner::new(hub, 2).await?;
    second.take().await??;
    let stolen = first.refusal().await?;
    let refused = Owner::new(hub, 1).await?.refusal().await?;
    Ok(json!({ "stolen": stolen, "refused": refused }))
}

async fn send_refused(connection_string: &str, hub: &str) -> Value {
    let attempt = async {
        let producer = ProducerClient::builder()
            .with_retry_options(retries(0))
            .with_custom_endpoint(endpoint_in(connection_string))
            .open_with_connection_string(connection_string, Some(hub))
            .await?;
        producer.send_event(body(0), None).await
    };
    match attempt.await {
        Err(error) => refusal(&error),
        Ok(()) => json!({ "code": "", "message": "it was not refused" }),
    }
}

async fn run(check: &str, hub: &str) -> Anything<Value> {
    match check {
        "properties" => properties(hub).await,
        "publish" | "throttled, then accepted" => publish(hub, None).await,
        "publish by key" => publish(hub, Some("motor-7")).await,
        "publish to a partition" => publish_to_partitions(hub).await,
        "publish a full batch" => publish_full_batch(hub).await,
        "buffered producer" => buffered(hub).await,
        "consume from the start" => read_from(hub, from_start).await,
        "consume from an offset" => read_from(hub, from_offset).await,
        "consume from a sequence number" => read_from(hub, from_sequence).await,
        "consume from a time" => read_from(hub, from_time).await,
        "key routing" => key_routing(hub).await,
        "epoch stealing" => epoch_stealing(hub).await,
        "SAS refused" => Ok(json!({
            "wrongKey": send_refused(&variable("INTEROP_WRONG_KEY"), hub).await,
            "listenOnly": send_refused(&variable("INTEROP_LISTEN_ONLY"), hub).await,
        })),
        "over TLS" => echo(hub, Route::Tls).await,
        "over WebSocket" => echo(hub, Route::WebSocket).await,
        _ => Err("there is no such check".into()),
    }
}

/// The client's version, from the list of what was built.
fn version() -> &'static str {
    let after = include_str!("Cargo.lock").split("name = \"azure_messaging_eventhubs\"").nth(1);
    after.and_then(|text| text.split('"').nth(1)).expect("Cargo.lock has the client")
}

#[tokio::main]
async fn main() {
    println!("{}", json!({
        "client": "azure_messaging_eventhubs",
        "version": version(),
        "runtime": concat!("Rust ", env!("COMPILER")),
    }));
    for argument in env::args().skip(1) {
        let (check, hub) = argument.split_once('=').expect("CHECK=HUB");
        let started = Instant::now();
        let mut line = match run(check, hub).await {
            Ok(line) => line,
            Err(error) => json!({ "error": format!("{error} ({error:?})") }),
        };
        line["check"] = check.into();
        line["milliseconds"] = (started.elapsed().as_secs_f64() * 1000.0).into();
        println!("{line}");
    }
}
