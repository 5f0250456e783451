#pragma once
// Kv: one key-value bucket, spoken as JetStream publishes and reads on "$KV.<bucket>.<key>",
// because cnats' own kvStore calls answer every refusal with the same NATS_ERR: here a lost
// compare-and-set (kConflict) is told apart from bad weather.  Also: owning handles for the types
// of cnats.
//
// Owner    Registry and Leases, one each per bucket; borrows Nats.
// Thread   any, but every call waits for the server, at most `wait`; without a connection it fails
//          at once.
// Limit    one value of 1 MiB (the server's).  A thread keeps 32 messages or 16 KiB to be freed.
//          For this folder only.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nats/nats.h>

#include "base/clock.h"
#include "base/result.h"
#include "bus/nats.h"

namespace encke::bus {

template <auto kDestroy>
struct Destroyer {
  template <class T>
  void operator()(T* handle) const {
    kDestroy(handle);
  }
};
// cnats frees messages on a thread of its own, and to wake that costs more than the message did: so
// each thread gives them back by the handful.
void LetGo(natsMsg* msg);
using MsgHandle = std::unique_ptr<natsMsg, Destroyer<LetGo>>;
using OptionsHandle = std::unique_ptr<natsOptions, Destroyer<natsOptions_Destroy>>;
using SubHandle = std::unique_ptr<natsSubscription, Destroyer<natsSubscription_Destroy>>;
using JsHandle = std::unique_ptr<jsCtx, Destroyer<jsCtx_Destroy>>;
using StreamInfoHandle = std::unique_ptr<jsStreamInfo, Destroyer<jsStreamInfo_Destroy>>;
using ConsumerInfoHandle = std::unique_ptr<jsConsumerInfo, Destroyer<jsConsumerInfo_Destroy>>;
using MetaHandle = std::unique_ptr<jsMsgMetaData, Destroyer<jsMsgMetaData_Destroy>>;

struct NatsHandles {
  static natsConnection* Connection(const Nats& nats);
  static jsCtx* Js(const Nats& nats);
  // Called on a thread of Nats after every reconnect and every few seconds, as long as it lives.
  static void KeepMade(const Nats& nats, std::function<Status(jsCtx*)> make);
};

// What cnats answered, as one of our errors; call it on the thread that made the call.
Error NatsError(natsStatus status, std::string_view what, jsErrCode code = {});
// How every connection of ours is made: servers, name, time limits, and that it writes at once.
Result<OptionsHandle> BasicSettings(const NatsOptions& options);
// An inbox subject of our own.
std::string NewInbox();
// A stream of one subject on disk, kept by age and size; it points into what it was given.
jsStreamConfig FileStream(
    const std::string& name, const char** subject, int replicas, Duration age, std::int64_t bytes);
enum class Existing : std::uint8_t { kChange, kLeave };
// Creates the stream, or brings the limits of an existing one to what is wanted (kChange).
Status EnsureStream(jsCtx* js, jsStreamConfig& want, Existing existing);
std::string_view DataOf(const natsMsg* msg);
// "" when the message has no such header.
std::string_view HeaderOf(natsMsg* msg, const char* name);

class Kv {
 public:
  struct Entry {
    std::string value;
    std::uint64_t revision = 0;
    std::int64_t stored_ns = 0;  // the server's clock
    bool deleted = false;
  };

  Kv(Nats& nats, std::string_view bucket, Duration wait);

  // kNotFound: never written.
  Result<Entry> Get(std::string_view key);
  Result<std::uint64_t> Put(std::string_view key, std::string_view value);
  // Writes when the newest revision of the key is `expected` (0: never written), else kConflict.
  Result<std::uint64_t> Write(std::string_view key, std::string_view value, std::uint64_t expected);
  Status Delete(std::string_view key);
  // Every key with a value or a deletion mark.
  Result<std::vector<std::string>> Keys();

  // When the bucket was made: another number, another bucket.
  Result<std::int64_t> MadeNs();

  const std::string& prefix() const { return prefix_; }  // "$KV.<bucket>."
  static bool IsDeletion(natsMsg* msg);

 private:
  Result<std::uint64_t> Publish(natsMsg* msg, std::string_view key, jsPubOptions* options);

  Nats& nats_;
  std::string stream_;
  std::string prefix_;
  JsHandle js_;
};

}  // namespace encke::bus
