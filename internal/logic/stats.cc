#include "logic/stats.h"

#include <fmt/core.h>

#include "daemon/stats.h"

namespace encke::logic {

namespace {

// One metric whose samples differ in one label.
class Family {
 public:
  Family(MetricsWriter& out, const char* name, const char* help, const char* label)
      : out_(out), name_(name), help_(help), label_(label) {}
  Family& Add(std::string_view value, const Counter& counter) {
    out_.Count(name_, help_, fmt::format("{}=\"{}\"", label_, value), Value(counter));
    return *this;
  }

 private:
  MetricsWriter& out_;
  const char *name_, *help_, *label_;
};

void WriteAuth(MetricsWriter& out, const auth::Auth& auth) {
  Family family(out, "encke_logic_auth_total", "auth packages judged", "verdict");
  for (std::size_t i = 0; i < auth::kAuthVerdicts.size(); ++i)
    family.Add(auth::kAuthVerdicts[i], auth.verdicts(static_cast<auth::AuthVerdict>(i)));
}

void WriteSessions(MetricsWriter& out, const presence::SessionCounts& c) {
  out.Level("encke_logic_streams", "comets with an open session stream", "",
            static_cast<double>(c.streams.value()));
  out.Count("encke_logic_streams_opened_total", "session streams opened", "",
            Value(c.streams_opened));
  out.Count("encke_logic_streams_cut_total", "streams closed because answers were not taken", "",
            Value(c.streams_cut));
  Family(out, "encke_logic_sessions_total", "session events, by what came of them", "event")
      .Add("arrived", c.arrived)
      .Add("replaced", c.replaced)
      .Add("refused", c.refused)
      .Add("key_refused", c.keys_refused)
      .Add("busy", c.busy)
      .Add("store_failed", c.store_failed)
      .Add("undone", c.undone)
      .Add("renewed", c.renewed)
      .Add("renew_outdated", c.renew_outdated)
      .Add("departed", c.departed);
  out.Count("encke_logic_upstream_messages_total", "client packages that were forwarded here", "",
            Value(c.upstream_messages));
  out.Count("encke_logic_upstream_bytes_total", "bytes of their bodies", "",
            Value(c.upstream_bytes));
  Family(out, "encke_logic_reports_total", "room counts of comets told to Redis", "result")
      .Add("stored", c.reports)
      .Add("failed", c.report_failures);
  out.Count("encke_logic_announces_total", "times all comets were asked to tell their sessions", "",
            Value(c.announces));
}

void WritePresence(MetricsWriter& out, const presence::Presence& presence) {
  out.Level("encke_logic_online_rooms", "rooms with members in the cluster", "",
            static_cast<double>(presence.Rooms()->size()));
  const auto [connections, addresses] = presence.Totals();
  out.Level("encke_logic_online_connections", "connections in the cluster", "",
            static_cast<double>(connections));
  out.Level("encke_logic_online_addresses", "distinct addresses, summed over comets", "",
            static_cast<double>(addresses));
  out.Count("encke_logic_forgotten_total", "entries of dead comets removed on sight", "",
            Value(presence.counts().forgotten));
  Family(out, "encke_logic_online_refreshes_total", "rounds over the tables of all comets",
         "result")
      .Add("whole", presence.counts().refreshes)
      .Add("partial", presence.counts().stale);
}

void WriteMembers(MetricsWriter& out, const presence::MembersCounts& c) {
  out.Count("encke_logic_member_pages_total", "pages of members of rooms asked of comets", "",
            Value(c.pages));
  Family(out, "encke_logic_member_pages_failed_total", "not told, by reason", "reason")
      .Add("busy", c.busy)
      .Add("comet", c.failed);
}

void WriteHttp(MetricsWriter& out, const web::HttpCounts& c) {
  out.Level("encke_logic_http_open", "open HTTP connections", "",
            static_cast<double>(c.open.value()));
  out.Count("encke_logic_http_connections_total", "HTTP connections taken", "",
            Value(c.connections));
  out.Count("encke_logic_http_requests_total", "HTTP requests", "", Value(c.requests));
  Family(out, "encke_logic_http_refused_total", "HTTP requests and connections refused", "reason")
      .Add("body", c.refused_body)
      .Add("limit", c.refused_limit)
      .Add("malformed", c.bad_requests);
  out.Count("encke_logic_http_accept_errors_total", "accept calls that failed", "",
            Value(c.accept_errors));
  out.Spread("encke_logic_http_answer_seconds", "request complete until its answer leaves", "",
             c.answer_us, 1e-6);
}

void WriteApi(MetricsWriter& out,
              const HttpApiCounts& api,
              const push::RelayCounts& relay,
              std::size_t in_flight) {
  Family(out, "encke_logic_api_refused_total", "API calls refused", "reason")
      .Add("unauthorized", api.unauthorized)
      .Add("bad_query", api.bad_requests)
      .Add("not_stored", api.failed);
  Family(out, "encke_logic_pushes_total", "pushes stored", "kind")
      .Add("keys", relay.keys)
      .Add("mids", relay.mids)
      .Add("room", relay.room)
      .Add("all", relay.all);
  out.Level("encke_logic_pushes_in_flight", "parts of pushes not stored yet", "",
            static_cast<double>(in_flight));
  out.Count("encke_logic_pushes_failed_total", "pushes refused", "", Value(relay.failed));
  out.Count("encke_logic_pushes_unrouted_total", "keys and mids that were nowhere", "",
            Value(relay.unrouted));
}

void WriteNative(MetricsWriter& out, const native::NativeCounts& c) {
  out.Count("encke_logic_v1_requests_total", "calls of /v1", "", Value(c.requests));
  Family(out, "encke_logic_v1_refused_total", "of them not done, by reason", "reason")
      .Add("unauthorized", c.unauthorized)
      .Add("invalid", c.refused)
      .Add("failed", c.failed);
}

void WritePushGrpc(MetricsWriter& out, const native::GrpcCounts& c) {
  out.Level("encke_logic_push_grpc_under_way", "calls of the Push service not answered yet", "",
            Value(c.under_way));
  out.Count("encke_logic_push_grpc_calls_total", "calls of the Push service", "", Value(c.calls));
  Family(out, "encke_logic_push_grpc_refused_total", "of them not done, by reason", "reason")
      .Add("unauthorized", c.unauthorized)
      .Add("invalid", c.refused)
      .Add("failed", c.failed)
      .Add("busy", c.busy);
}

void WriteTimelines(MetricsWriter& out, const LogicView& view) {
  const store::TimelineCounts& kept = view.timelines.counts();
  Family(out, "encke_logic_timeline_appends_total", "entries for timelines", "result")
      .Add("appended", kept.appended)
      .Add("duplicate", kept.duplicates)
      .Add("failed", kept.failed)
      .Add("retried", view.relay.counts().append_retried);
  out.Count("encke_logic_timeline_bytes_total", "bytes of them", "", Value(kept.bytes));
  out.Count("encke_logic_timeline_trimmed_total", "entries that left for age, number or bytes", "",
            Value(kept.trimmed));
  out.Count("encke_logic_timeline_epochs_total", "timelines begun, or begun anew", "",
            Value(kept.epochs));
  const timeline::AskCounts& asks = view.asks.counts();
  Family(out, "encke_logic_asks_total", "questions of sessions about timelines", "kind")
      .Add("heads", asks.heads)
      .Add("fetch", asks.fetches)
      .Add("cursor", asks.cursors)
      .Add("publish", asks.publishes);
  Family(out, "encke_logic_asks_unmet_total", "of them not answered as hoped", "reason")
      .Add("refused", asks.refused)
      .Add("failed", asks.failed)
      .Add("reload", asks.reloads)
      .Add("busy", view.door.counts().asks_busy);
  out.Count("encke_logic_fetched_total", "pushes fetched from timelines by sessions", "",
            Value(asks.pushes));
  Family(out, "encke_logic_client_publishes_total", "what clients published", "result")
      .Add("accepted", view.client.counts().accepted)
      .Add("refused", view.client.counts().refused)
      .Add("failed", view.client.counts().failed);
}

void WriteRedis(MetricsWriter& out, const store::Redis& redis) {
  const store::RedisCounts& c = redis.counts();
  out.Level("encke_logic_redis_up", "1 while Redis is connected", "", redis.connected() ? 1 : 0);
  out.Count("encke_logic_redis_commands_total", "commands for Redis", "", Value(c.commands));
  out.Count("encke_logic_redis_errors_total", "commands that failed", "", Value(c.errors));
  out.Count("encke_logic_redis_timeouts_total", "of them because of no answer in time", "",
            Value(c.timeouts));
  out.Count("encke_logic_redis_connects_total", "connections to Redis made", "",
            Value(c.reconnects));
  out.Spread("encke_logic_redis_seconds", "command handed in until answered", "", c.latency_us,
             1e-6);
}

void WriteBus(MetricsWriter& out, const bus::Publisher& publisher, const bus::Nats& nats) {
  const bus::PublisherCounts& c = publisher.counts();
  out.Level("encke_logic_publish_in_flight", "log entries not acknowledged yet", "",
            static_cast<double>(publisher.in_flight()));
  Family(out, "encke_logic_publish_total", "log entries, by what came of them", "result")
      .Add("stored", c.published)
      .Add("duplicate", c.duplicates)
      .Add("retried", c.retried)
      .Add("failed", c.failed);
  out.Spread("encke_logic_publish_ack_seconds", "published until acknowledged", "", c.ack_us, 1e-6);
  daemon::WriteNats(out, "logic", nats);
}

void WriteWebhook(MetricsWriter& out, const webhook::WebhookCounts& c) {
  out.Level("encke_logic_webhook_waiting", "events not delivered yet", "", Value(c.waiting));
  Family(out, "encke_logic_webhook_events_total", "what clients said, by what came of telling it",
         "result")
      .Add("delivered", c.delivered)
      .Add("full", c.full)
      .Add("refused", c.refused)
      .Add("given_up", c.given_up)
      .Add("left", c.left);
  Family(out, "encke_logic_webhook_posts_total", "posts", "result")
      .Add("taken", c.posts)
      .Add("failed", c.posts_failed);
  out.Spread("encke_logic_webhook_post_seconds", "one post", "", c.post_us, 1e-6);
}

}  // namespace

std::string MetricsText(const LogicView& view) {
  MetricsWriter out;
  WriteAuth(out, view.auth);
  WriteSessions(out, view.door.counts());
  WritePresence(out, view.presence);
  WriteMembers(out, view.members.counts());
  WriteApi(out, view.api.counts(), view.relay.counts(), view.relay.in_flight());
  WriteNative(out, view.native.counts());
  WritePushGrpc(out, view.push_grpc.counts());
  WriteTimelines(out, view);
  WriteHttp(out, view.http.counts());
  WriteRedis(out, view.redis);
  WriteBus(out, view.publisher, view.nats);
  WriteWebhook(out, view.hook.counts());
  return out.Take();
}

}  // namespace encke::logic
