#![allow(clippy::unwrap_used)]
use routeplane::provider::*;
use routeplane::table::*;
use routeplane::wire::*;
use routeplane::*;
use std::sync::Arc;
#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
#[tokio::main(worker_threads = 2)]
async fn main() {
    let up = std::env::args().nth(1).unwrap();
    let listen: std::net::SocketAddr = std::env::args().nth(2).unwrap().parse().unwrap();
    let ep = |p: ProtocolId, path: &str| Endpoint {
        protocol: p,
        base_url: BaseUrl::parse(&format!("http://{up}{path}")).unwrap(),
        auth: AuthScheme::Bearer,
        paths: Box::new([]),
        headers: Box::new([]),
        quirks: Default::default(),
    };
    let prov = |name: &str, e: Endpoint| Provider {
        name: name.into(),
        title: name.into(),
        endpoints: Box::new([e]),
        keys: Box::new([SecretRef::Literal(0)]),
        key_required: true,
        transport: Transport::Http,
        models: Box::new([]),
        catalogue: None,
        activation: Activation::File,
    };
    let providers = vec![
        prov("openai", ep(ProtocolId::OpenAiChat, "/v1")),
        prov("anthropic", ep(ProtocolId::AnthropicMessages, "")),
        prov("google", ep(ProtocolId::Gemini, "")),
    ];
    let lane = |me: ProtocolId, p: ProtocolId| {
        if me == p { Lane::Passthrough { endpoint: 0 } } else { Lane::Translate { endpoint: 0 } }
    };
    let targets: Vec<Target> = [ProtocolId::OpenAiChat, ProtocolId::AnthropicMessages, ProtocolId::Gemini]
        .iter()
        .enumerate()
        .map(|(i, p)| Target {
            provider: ProviderIdx(i as u32),
            model: None,
            generate: ProtocolId::ALL.map(|c| lane(c, *p)),
            embed: ProtocolId::ALL.map(|c| lane(c, *p)),
            count_tokens: ProtocolId::ALL.map(|c| lane(c, *p)),
        })
        .collect();
    let table = RoutingTable {
        id: "x".into(),
        listen,
        keys: Box::new([]),
        limits: Limits::default(),
        reload: Default::default(),
        providers: providers.into(),
        targets: targets.into(),
        settings: Box::new([Settings::default()]),
        routes: Box::new([]),
        presets: Default::default(),
        models: Default::default(),
        ambiguous: Default::default(),
        wildcards: Box::new([TargetIdx(0), TargetIdx(1), TargetIdx(2)]),
        provider_names: [
            ("openai".into(), ProviderIdx(0)),
            ("anthropic".into(), ProviderIdx(1)),
            ("google".into(), ProviderIdx(2)),
        ]
        .into_iter()
        .collect(),
        inactive: Default::default(),
        nested: Default::default(),
        rules: Box::new([]),
    };
    let lit = [config::document::LiteralSecret("sk-upstream-key-0123456789".into())];
    let runtime = state::Runtime::prepare(&table, &lit, &config::Env::default(), None).unwrap();
    let metrics = telemetry::metrics::Metrics::new();
    let live = Arc::new(live::LiveTable::new(live::Live { table, generation: 1, runtime }));
    let gw = Arc::new(proxy::Gateway { live, traffic: metrics.traffic.clone(), side: axum::Router::new() });
    let l = proxy::server::bind(listen).unwrap();
    let s = proxy::server::serve(gw, l, Arc::new(tokio::sync::Semaphore::new(10000))).unwrap();
    println!("serving {}", s.address);
    std::future::pending::<()>().await;
}
