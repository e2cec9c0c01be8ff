internal import Accounting

extension MonthlyStatement {
    /// The statement as one JSON object; `Docs/usage.md` has its members.
    package var json: String {
        var json = JSONText()
        json.object { json in
            json.member("tenant", tenant)
            json.member("tenant_id", tenantID.description)
            json.member("month", month)
            json.member("timezone", zone)
            json.member("from", from)
            json.member("to", to)
            json.member("is_over", isOver)
            json.member("made_at", made.rfc3339)
            json.member("source", source)
            json.member("requests", requests)
            json.key("lines")
            json.array(lines) { json, line in
                json.object { json in
                    members(&json, line.service)
                    json.member("price_id", line.priceID)
                    json.member("price_upstream", line.priceUpstream)
                    json.member("price_from", line.priceFrom.rfc3339)
                    json.key("items")
                    json.array(line.items) { members(&$0, $1) }
                    json.member("amount_usd", Money.fixedDollars(pico: line.amountPico))
                }
            }
            json.member("total_usd", Money.fixedDollars(pico: totalPico))
            json.key("unpriced")
            json.array(unpriced) { json, line in
                json.object { json in
                    members(&json, line.service)
                    json.member("attempts", line.attempts)
                    json.member("prompts_unknown", line.promptsUnknown)
                    json.member("uncached_input", line.uncachedInput)
                    json.member("cached_input", line.cachedInput)
                    json.member("cache_write", line.cacheWrite)
                    json.member("output", line.output)
                }
            }
            json.key("budgets")
            json.array(budgets) { members(&$0, $1) }
        }
        return json.text
    }

    private func members(_ json: inout JSONText, _ service: Service) {
        json.member("model", service.model)
        json.member("role", service.role)
        json.member("upstream_model", service.upstreamModel)
    }

    private func members(_ json: inout JSONText, _ item: Item) {
        json.object { json in
            json.member("kind", item.kind.rawValue)
            json.member("quantity", item.quantity)
            json.member("unit_price_usd", Money.fixedDollars(pico: item.unitPico))
            json.member("amount_usd", Money.fixedDollars(pico: item.amountPico))
        }
    }

    private func members(_ json: inout JSONText, _ budget: Budget) {
        json.object { json in
            json.member("name", budget.name)
            json.member("key", budget.key)
            json.member("window", budget.window)
            json.member("amount", budget.amount)
            json.member("windows", budget.windows)
            json.member("windows_used_up", budget.windowsUsedUp)
            json.member("used", budget.used)
            json.member("unreconciled", budget.unreconciled)
            json.member("overrun", budget.overrun)
        }
    }
}
