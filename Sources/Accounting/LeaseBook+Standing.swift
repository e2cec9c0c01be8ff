extension LeaseBook {
    /// How the budgets and rates of a caller stand. *Remaining* is what the database had left when it was last asked,
    /// and what is free here: it may be out of date by what other gateways did since.
    package func standing(tenant: UUID7, key: UUID7, now: Int64) -> [BudgetStanding] {
        guard let book = tenants[tenant] else { return [] }
        return book.accounts.filter { !$0.isRetired && ($0.definition.key == nil || $0.definition.key == key) }
            .map { account in
                BudgetStanding(
                    name: account.definition.name, resource: account.definition.resource,
                    amount: account.definition.amount,
                    remaining: account.poolNow(now).map { max(0, $0) + account.free(now: now) },
                    resetsIn: account.resetsIn(now: now))
            }
    }
}
