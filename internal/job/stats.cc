#include "job/stats.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include "bus/leases.h"
#include "bus/nats.h"
#include "bus/registry.h"
#include "job/reader.h"
#include "job/router.h"

namespace encke::job {

namespace {

double Number(const Counter& counter) { return static_cast<double>(counter.value()); }

template <class T>
double Number(T value) {
  return static_cast<double>(value);
}

std::string Label(std::string_view name, std::string_view value) {
  std::string out(name);
  out += "=\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + '"';
}

void WriteEntries(MetricsWriter& out, const Stats& stats) {
  const char* routed = "log entries routed, by kind";
  out.Count("encke_job_entries_read_total", "log entries read", "", Number(stats.read));
  out.Count("encke_job_entries_malformed_total", "log entries that are no push", "",
            Number(stats.malformed));
  out.Count("encke_job_routed_total", routed, "kind=\"push\"", Number(stats.pushes));
  out.Count("encke_job_routed_total", routed, "kind=\"room\"", Number(stats.rooms));
  out.Count("encke_job_routed_total", routed, "kind=\"broadcast\"", Number(stats.broadcasts));
  out.Count("encke_job_unroutable_total", "pushes to a comet that is not in the registry", "",
            Number(stats.unroutable));
}

void WriteSequence(MetricsWriter& out, const sequence::SequencerCounts& counts) {
  const char* help = "what was found about the order of timelines";
  const auto add = [&](const char* event, const Counter& counter) {
    out.Count("encke_job_timeline_total", help, Label("event", event), Number(counter));
  };
  add("gap", counts.gaps);
  add("filled", counts.filled);
  add("hole", counts.holes);
  add("late", counts.late);
  add("repeat", counts.repeats);
  add("looked_back", counts.looked_back);
  add("read_failure", counts.read_failures);
  add("forgotten", counts.forgotten);
}

void WriteDeliveries(MetricsWriter& out, const Stats& stats) {
  out.Count("encke_job_deliveries_total", "entries given to a comet's stream", "",
            Number(stats.deliveries));
  out.Count("encke_job_acked_total", "entries a comet took over", "", Number(stats.acked));
  out.Count("encke_job_resent_total", "entries sent again after a reconnect", "",
            Number(stats.resent));
  out.Count("encke_job_left_behind_total", "entries a stuck comet did not get", "",
            Number(stats.left_behind));
  out.Count("encke_job_undeliverable_total", "entries whose comet went or was restarted", "",
            Number(stats.undeliverable));
  out.Count("encke_job_not_concerned_total", "entries that waited for a room not on that comet", "",
            Number(stats.not_concerned));
  WriteSequence(out, stats.sequence);
  out.Count("encke_job_fenced_total", "entries dropped with their partition's lease", "",
            Number(stats.fenced));
  out.Count("encke_job_streams_closed_total", "streams to comets that ended", "",
            Number(stats.streams_closed));
  out.Spread("encke_job_ack_seconds", "queued for a comet to acknowledged by it", "", stats.ack_us,
             1e-6);
  out.Spread("encke_job_route_seconds", "accepted by logic to queued for the comets", "",
             stats.route_us, 1e-6);
  out.Spread("encke_job_batch_entries", "entries in one message to a comet", "", stats.batch, 1);
}

void WritePartitions(MetricsWriter& out, const Readers& readers) {
  const auto views = readers.views();
  out.Level("encke_job_leases", "partitions this job reads", "", Number(views.size()));
  for (const ReaderView& view : views) {
    out.Level("encke_job_partition_lag", "entries behind the newest",
              Label("partition", std::to_string(view.partition)), Number(view.lag));
  }
  for (const ReaderView& view : views) {
    out.Level("encke_job_partition_checkpoint", "everything up to it is acknowledged",
              Label("partition", std::to_string(view.partition)), Number(view.checkpoint));
  }
}

void WriteLinks(MetricsWriter& out, const Router& router) {
  const auto views = router.views();
  const auto row = [&](const char* name, const char* help, auto value) {
    for (const LinkView& view : views)
      out.Level(name, help, Label("comet", view.comet), Number(value(view)));
  };
  row("encke_job_link_up", "1: the stream is open and the comet's rooms are known",
      [](const LinkView& view) { return view.up ? 1 : 0; });
  row("encke_job_link_left_behind", "1: stuck, entries for it are dropped",
      [](const LinkView& view) { return view.left_behind ? 1 : 0; });
  row("encke_job_link_queue_bytes", "not acknowledged yet",
      [](const LinkView& view) { return view.bytes; });
  row("encke_job_link_queue_entries", "not acknowledged yet",
      [](const LinkView& view) { return view.entries; });
  row("encke_job_link_rooms", "rooms that have members there",
      [](const LinkView& view) { return view.rooms; });
}

}  // namespace

std::string MetricsText(const Parts& parts) {
  MetricsWriter out;
  WriteEntries(out, parts.stats);
  WriteDeliveries(out, parts.stats);
  WritePartitions(out, parts.readers);
  WriteLinks(out, parts.router);
  const bus::NatsCounts& nats = parts.nats.counts();
  out.Count("encke_job_nats_disconnects_total", "connections to NATS lost", "",
            Number(nats.disconnects));
  out.Count("encke_job_nats_reconnects_total", "connections to NATS found again", "",
            Number(nats.reconnects));
  out.Count("encke_job_nats_errors_total", "errors NATS told us about", "", Number(nats.errors));
  return out.Take();
}

std::string WhyUnready(const Parts& parts) {
  if (!parts.nats.connected()) return "NATS is not connected";
  if (!parts.registry.synced()) return "the registry is not known yet";
  const std::size_t jobs = std::max<std::size_t>(parts.registry.List("job").size(), 1);
  const std::size_t share = static_cast<std::size_t>(parts.partitions) / jobs;
  const auto reading = parts.readers.views();
  if (reading.size() < share) {
    return fmt::format("reading {} partitions, our share is {}", reading.size(), share);
  }
  for (const ReaderView& view : reading) {
    if (!view.open) return fmt::format("partition {} is not open", view.partition);
  }
  for (const LinkView& view : parts.router.views()) {
    if (!view.up) return "no stream to comet " + view.comet;
  }
  return "";
}

Admin::Admin(const std::string& listen, const Parts& parts)
    : parts_(parts), server_({.address = listen, .connections_max = 64}) {
  const auto page = [this](const char* path, const char* type, auto answer) {
    server_.Route("GET", path, [type, answer](web::HttpRequest&&, const web::Responder& out) {
      auto [status, body] = answer();
      out.Send({status, type, std::move(body), {}});
    });
  };
  const char* plain = "text/plain; charset=utf-8";
  page("/metrics", "text/plain; version=0.0.4; charset=utf-8",
       [this] { return std::pair(200, MetricsText(parts_)); });
  page("/healthz", plain, [] { return std::pair(200, std::string("ok\n")); });
  page("/readyz", plain, [this] {
    const std::string why = WhyUnready(parts_);
    return why.empty() ? std::pair(200, std::string("ready\n")) : std::pair(503, why + "\n");
  });
}

}  // namespace encke::job
