using Evident.Ingest;

namespace Evident.Tests.Store;

/// <summary>The ledger says which redaction rules were in force since when, and says it once.</summary>
public sealed class RuleRecordTests
{
    private static RuleSet WithOff(string rule) => RuleSet.TryBuild(new RedactionOptions { Off = [rule] }, out _)!;

    private static string HashOf(RuleSet rules) => "sha256:" + Convert.ToHexStringLower(rules.Hash);

    [Fact]
    public void A_change_of_rules_is_recorded_with_what_it_replaces()
    {
        var rules = RuleSet.Default;
        using var store = new TemporaryStore { Adjust = o => new Evident.Store.StoreOptions { DataDirectory = o.DataDirectory, Tools = o.Tools, IdleMillis = 2, Redaction = rules } };
        store.Send(new Sent(1, 1, "step").With(("note", "x")));
        store.Reopen();
        rules = WithOff("phone");
        store.Reopen();
        store.Reopen();
        rules = RuleSet.Default;
        store.Reopen();
        var recorded = store.Entries().Where(e => e.Type == "redaction.rules").Select(e => e.Json.GetProperty("document")).ToArray();
        Assert.Equal([HashOf(RuleSet.Default), HashOf(WithOff("phone")), HashOf(RuleSet.Default)], recorded.Select(d => d.GetProperty("hash").GetString()));
        Assert.False(recorded[0].TryGetProperty("previous_hash", out _));
        Assert.Equal([HashOf(RuleSet.Default), HashOf(WithOff("phone"))], recorded[1..].Select(d => d.GetProperty("previous_hash").GetString()));
        Assert.All(recorded, d => Assert.Equal((RuleSet.Default.Version, (long)RuleSet.Default.Rules.Count), (d.GetProperty("version").GetString(), d.GetProperty("items").GetInt64())));
        Assert.All(store.Entries().Where(e => e.Type == "redaction.rules"), e => Assert.Equal("system", e.Json.GetProperty("actor").GetProperty("kind").GetString()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Without_an_index_the_ledger_itself_is_looked_at(bool damaged)
    {
        using var store = new TemporaryStore();
        store.Send(new Sent(1, 1, "step").With(("note", "x")));
        store.Close();
        string outcomes = Path.Combine(store.Data, "outcomes.db");
        foreach (string file in Directory.EnumerateFiles(store.Data, "outcomes.db*")) File.Delete(file);
        if (damaged) File.WriteAllText(outcomes, "this is no database, and it is longer than one hundred bytes, so that its header is read and found to be none of SQLite's");
        Assert.Single(store.Entries(), e => e.Type == "redaction.rules");
    }
}
