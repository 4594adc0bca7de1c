"""Why what is compiled is as it is, where a reader would ask: what `headgate compile` prints as comments.

One line or two of each, for whoever reads Envoy's configuration; how it was found out stands in docs/envoy.md.
"""

REASONS = {
    # What is Envoy's own business.
    "admin/address": "A socket that its owner alone can open: Envoy's admin interface asks nobody for a key.",
    "resource_monitors": (
        "Envoy has no bound for connections of its own. A client needs no more of them than requests (`limits.concurrent_requests`)."
    ),
    "layered_runtime/layers": (
        "With flow control on the stream to the adapter, Envoy 1.40 crashes on long answers of models that have several targets: it "
        "tells a connection to read on that has ended."
    ),
    # The listener, and its HTTP connection manager.
    "listeners/per_connection_buffer_limit_bytes": (
        "Larger than any answer or request (`limits.response_body`, `limits.request_body`): a slow client's buffer that fills up while "
        "the end of an answer waits for the adapter crashes Envoy 1.40."
    ),
    "listeners/connection_balance_config/exact_balance": (
        "Each of Envoy's threads gets as many connections as the others: few long streams would be shared out unevenly otherwise."
    ),
    "listeners/enable_reuse_port": "A second Envoy on this port has to fail, rather than to take a part of the requests.",
    "listeners/address/socket_address/ipv4_compat": "`::` means both families; Linux would give Envoy IPv6 alone.",
    "listeners/listener_filters": "Each connection begins with whom it speaks for (PROXY protocol), as the load balancer in front says it.",
    "listeners/filter_chains/filter_chain_match": (
        "Who is connected in truth: nobody else may say for whom he speaks, and whoever is elsewhere is not let in."
    ),
    "listeners/filter_chains/transport_socket": (
        "Certificates stand in files of their own: one that is replaced counts for the connections that come then."
    ),
    "listeners[headgate_http3]/enable_reuse_port": (
        "Each thread has a socket of its own: packets of a connection would be handed from one to another otherwise."
    ),
    "listeners[headgate_mirrors]": (
        "For copies of requests that go to mirrors: the same gate and routes, on a socket that this user alone can reach."
    ),
    "common_http_protocol_options/headers_with_underscores_action": (
        "Some servers take `x_api_key` for `x-api-key`: nobody gets a header past the gate by its other spelling."
    ),
    "scheme_header_transformation": "Providers on HTTP/2 refuse a `:scheme` that is not their connection's.",
    "max_request_headers_kb": "`limits.request_headers`; more is answered with 431.",
    "stream_idle_timeout": (
        "For a client that stops in mid-request. Once the gate has judged it, its route says how long an answer may be silent."
    ),
    "use_remote_address": "The address that counts is the connection's, and x-forwarded-for what Envoy makes of it.",
    "path_with_escaped_slashes_action": "Names of models may hold `%2F`, and no route depends on what is behind it.",
    "always_set_request_id_in_response": "Who asks for help has the id by which the ledger and the logs know the request.",
    "early_header_mutation_extensions": (
        "Before Envoy reads them: callers choose neither the request id, by which the ledger counts, nor a cluster, nor Envoy's own "
        "time-outs and retries (x-envoy-*)."
    ),
    "upgrade_configs": "Realtime APIs are WebSockets.",
    "local_reply_config/mappers": (
        "What Envoy answers by itself gets the form of errors that the client's dialect has, so that SDKs read it. What the gate has "
        "answered (`headgate_...`) is in that form already, and what a route of yours answers stays as it is."
    ),
    "access_log": (
        "The second witness: a worker that is killed has told Envoy what was under way, and the ledger finds it here by request id. No "
        "credential is logged, and nothing of a body."
    ),
    "http_filters[envoy.filters.http.set_filter_state]": "The path without its query, which may hold a key, for the log.",
    "http_filters[headgate.trailers]": "Trailers of a request would reach providers unseen by the gate (HTTP/2), so all are taken off.",
    "http_filters[headgate.http3]": "Tells clients that they may speak HTTP/3 the next time.",
    "http_filters[headgate.tokens]": (
        "Envoy checks the tokens of these issuers. Without one that is good a request goes on to the gate, which decides."
    ),
    # The gate.
    "http_filters[headgate.gate]": (
        "The gate: who may call, and who is asked. Where no worker answers, requests are refused (503): it fails closed."
    ),
    "http_filters[headgate.gate]/grpc_service/timeout": "A stream with the gate lives as long as its answer.",
    "http_filters[headgate.gate]/grpc_service/retry_policy": (
        "Bridges a worker's restart, for about four seconds. Envoy's own pauses here would be 1 to 10 seconds each."
    ),
    "http_filters[headgate.gate]/processing_mode/response_header_mode": (
        "The gate asks for them in its first reply. Were they sent by configuration, Envoy's replies to what is no request (400, 431) "
        "would go through the gate too, and get lost."
    ),
    "http_filters[headgate.gate]/processing_mode/request_body_mode": (
        "Whole, since the body names the model. Routes for what is neither JSON nor a form with a model pass it unread."
    ),
    "http_filters[headgate.gate]/message_timeout": (
        "The longest wait for one reply: those who ask the same as another at once wait here for that answer."
    ),
    "http_filters[headgate.gate]/mutation_rules": (
        "Who is asked is the host and path that the gate sets, and how patiently its x-envoy-* headers."
    ),
    "http_filters[headgate.gate]/metadata_options/receiving_namespaces": (
        "What the gate says of a request, and who its targets are. Callers cannot write metadata, so routes trust it."
    ),
    # The router, and the adapter behind it.
    "suppress_envoy_headers": "Neither providers nor clients are told x-envoy-*.",
    "upstream_log": "A line for each attempt that failed: who broke an answer off after its head is known here alone.",
    "upstream_http_filters[headgate.adapter]/message_timeout": (
        "The adapter holds the head of an answer back until a provider speaks. How long that may take is said by the route and its "
        "headers, so this is longer than any of it."
    ),
    "upstream_http_filters[headgate.adapter]/processing_mode/response_body_mode": (
        "Envoy stops to read from a provider that is faster than the worker; in FULL_DUPLEX_STREAMED nothing would hold it back."
    ),
    "upstream_http_filters[headgate.adapter]/send_body_without_waiting_for_header_response": (
        "A head that is held back until the first event can still become an error, and the next target be asked."
    ),
    "upstream_http_filters[headgate.adapter]/disabled": (
        "Off, but where a route switches it on: requests with one target pay nothing for it."
    ),
    # Routes.
    "virtual_hosts/request_body_buffer_limit": (
        "`limits.request_body`: what is held for the gate (more is 413), and for another attempt. It only ever raises Envoy's own 1 MiB."
    ),
    "request_headers_to_remove": "What Envoy adds for the gate, or the gate for Envoy, and no provider needs to know.",
    "virtual_hosts/routes": (
        "Envoy chooses twice. Before the gate, the last routes lead to a cluster that does not exist, and never to some provider. What "
        "the gate has judged it marks by metadata (`idle`), which only it can write, and the first routes ask for that."
    ),
    "routes/route/timeout": (
        "None for the whole here: a stream may last. What a provider or a client says of it, the gate sets as a header."
    ),
    "routes/route/idle_timeout": (
        "How long the whole may be silent, over all attempts; a second behind the attempt's own clock, which tells whose silence it was."
    ),
    "routes/route/retry_policy/retriable_status_codes": (
        "Where targets follow, any refusal that another one may not share. Which of them count for a request, its x-envoy-retry-on says."
    ),
    "routes/route/retry_policy/retry_back_off": (
        "No pause to speak of: the next attempt is somebody else's. Where the same one is asked again, the adapter waits."
    ),
    "routes/route/retry_policy/per_try_idle_timeout": (
        "`timeouts.idle`, or `first_byte` where that is longer, and half a second: the gate ends a silent stream before, with an error "
        "in the client's dialect."
    ),
    "routes/route/inline_cluster_specifier_plugin": (
        "The list of targets is metadata of the request (`headgate.targets`); attempt n goes to the n-th. The group here is for a "
        "request of which the gate named none: nobody."
    ),
    "routes/route/cluster_header": "The only target. A caller's own header of this name was taken off before the gate.",
    "routes/route/retry_policy/retry_on": "The only target is asked once more where it cannot have seen the request.",
    "routes[websocket]/route/idle_timeout": "A WebSocket may be silent for an hour.",
    "routes[judged-adapter]": "For a silence that Envoy has not heard of yet, or has forgotten: the configuration changes at this moment.",
    "routes[upgrade]": (
        "From here on: requests that the gate has not judged. Their headers say whether it reads the body, and they lead nowhere."
    ),
    "routes[form]/match": "Forms that name a model: transcriptions and the like.",
    "routes[other]/typed_per_filter_config": (
        "The body passes unread, and in any size. It cannot wait for the gate to say so: while a body is to be buffered, one beyond "
        "the limit is 413 whatever the gate says later."
    ),
    "validate_clusters": "One cluster does not exist on purpose, and providers come and go by files.",
    "routes[api-audit]": "The admin API, which authenticates by itself: past the gate, which knows nothing of it.",
    # Clusters.
    "clusters[headgate_gate]": "The workers: changing these clusters would cut all streams, so they are static.",
    "clusters[headgate_gate]/health_checks": (
        "A worker that hangs is left out after three unanswered checks. `no_traffic_interval`: Envoy would check once a minute before "
        "the first request."
    ),
    "circuit_breakers/thresholds/max_requests": (
        "As many as `limits.concurrent_requests`. Envoy's default of 1024 would take long streams for overload."
    ),
    "circuit_breakers/thresholds/max_retries": (
        "Envoy's default of 3 at once would undo every fallback, and every bridge over a worker's restart."
    ),
    "common_lb_config/healthy_panic_threshold": (
        "With Envoy's 50 %, one living worker of three would share its requests with two dead ones."
    ),
    "clusters[headgate_gate]/outlier_detection": (
        "A killed worker, which has the fewest requests of all, is left out for a second after three refused connections. Errors of "
        "single requests do not count."
    ),
    "load_balancing_policy": (
        "Who has the fewest requests gets the next: a worker that hangs soon gets no more. Of two random choices both may be that one."
    ),
    "http2_protocol_options/connection_keepalive": (
        "Ends the streams of a worker that hangs; those that it had not answered yet go to another one."
    ),
    "clusters/cluster_type": (
        "A provider by name: the addresses that it has, or else a socket where nobody listens. Of a cluster without hosts Envoy "
        "answers 503 itself, and asks no other target."
    ),
    "clusters/dns_lookup_family": "IPv6 and IPv4, tried at once.",
    "clusters/metadata/filter_metadata/headgate": "Envoy's own errors name the provider.",
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions/common_http_protocol_options/idle_timeout": (
        "Unused connections are closed before the provider closes them, in the middle of the next request."
    ),
    "auto_config": "HTTP/2 where the provider has it (ALPN).",
    "clusters/transport_socket/common_tls_context/validation_context": (
        "The certificate has to be signed by one of these authorities, and be for this very name."
    ),
    "clusters/transport_socket/sni": "Said here, and not taken from the request's host, which still is the client's at that time.",
    "http_filters[envoy.filters.http.aws_request_signing]": "After the adapter, so that what is signed is what is sent.",
    "http_filters[envoy.filters.http.credential_injector]": (
        "Envoy alone reads this key, anew when its file is replaced. Without it the provider refuses, and the next target is asked."
    ),
    "http_filters[headgate.cleaner]": "What the attempt before has set is still there: no provider gets another one's credential.",
    "clusters[headgate_no_address]": "Nobody listens here: an attempt that fails is one after which the next target is asked.",
}
"""By path: see `comments.with_comments`."""
