#pragma once
// ApiKeys: who may use the HTTP API.  No key configured: everybody who can reach it.
//
// Owner    main of logic.
// Thread   any (guarded inside).
// Limit    a handful: every key is compared for every request.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/threads.h"

namespace encke::auth {

class ApiKeys {
 public:
  // An empty key or one with blanks cannot be sent in a header and is an error.
  static Result<ApiKeys> Make(std::vector<std::string> keys);

  // What is asked from now on is judged by these; all copies change.  On error the old ones stay.
  Status Replace(std::vector<std::string> keys);

  bool empty() const { return Current()->empty(); }
  // authorization: the header "Bearer <key>"; api_key: the header X-API-Key.  Either will do. Takes
  // the same time whichever key is wrong, and wherever it differs.
  bool Allow(std::string_view authorization, std::string_view api_key) const;

  // The API listens beyond loopback only when somebody has to show a key.
  Status MayListen(std::string_view setting, std::string_view address) const;

 private:
  using Keys = std::shared_ptr<const std::vector<std::string>>;
  explicit ApiKeys(Keys keys) : keys_(std::make_shared<Guarded<Keys>>(std::move(keys))) {}
  static bool Knows(const std::vector<std::string>& keys, std::string_view key);
  Keys Current() const {
    return keys_->With([](const Keys& keys) { return keys; });
  }

  std::shared_ptr<Guarded<Keys>> keys_;
};

// "127.0.0.1:3111", "[::1]:3111", "localhost:3111"
bool IsLoopback(std::string_view address);

}  // namespace encke::auth
