using System.Globalization;
using Evident.Benchmarks;

// dotnet run -c Release --project tests/Evident.Benchmarks -- ledger [--entries N] [--group N] [--directory DIR]
// dotnet run -c Release --project tests/Evident.Benchmarks -- redact
// dotnet run -c Release --project tests/Evident.Benchmarks -- doors
// dotnet run -c Release --project tests/Evident.Benchmarks -- expiry [--payloads N]
// dotnet run -c Release --project tests/Evident.Benchmarks -- read [--payloads N]
// dotnet run -c Release --project tests/Evident.Benchmarks -- verify --binary PATH [--entries N] [--group N] [--directory DIR]
// dotnet run -c Release --project tests/Evident.Benchmarks -- load --binary PATH [--load lean,fat,chatty] [--spans N] [--directory DIR]
string command = args.Length > 0 ? args[0] : "";
string? directory = Option("--directory");
int group = (int)Number("--group", 256);
switch (command)
{
    case "ledger":
        VerificationFigures.Print(Number("--entries", 300_000), group, directory);
        if (Option("--entries") is null)
        {
            CommitFigures.Print(directory);
        }

        return 0;
    case "redact":
        RedactionFigures.Print();
        return 0;
    case "doors":
        DoorFigures.Print();
        return 0;
    case "expiry":
        ExpiryFigures.Print(Number("--payloads", 1_000_000), directory);
        return 0;
    case "read":
        ReadFigures.Print(Number("--payloads", 100_000), directory);
        return 0;
    case "commit":
        CommitFigures.Print(directory);
        return 0;
    case "verify" when Option("--binary") is { } binary:
        return BinaryFigures.Print(binary, Number("--entries", 1_000_000), group, directory);
    case "load" when Option("--binary") is { } binary:
        foreach (string load in (Option("--load") ?? "lean,fat,chatty").Split(','))
        {
            await LoadFigures.PrintAsync(binary, load, Number("--spans", load == "lean" ? 1_000_000 : load == "fat" ? 200_000 : 50_000), directory);
        }

        return 0;
    case VerificationFigures.ChildCommand when args.Length == 2:
        return VerificationFigures.RunChild(args[1]);
    default:
        Console.Error.WriteLine("usage: ledger [--entries N] [--group N] [--directory DIR] | commit [--directory DIR] | redact | doors | expiry [--payloads N] | read [--payloads N] | verify --binary PATH [--entries N] [--group N] [--directory DIR] | load --binary PATH [--load lean,fat,chatty] [--spans N] [--directory DIR]");
        return 64;
}

string? Option(string name) => Array.IndexOf(args, name) is var i and >= 0 && i + 1 < args.Length ? args[i + 1] : null;

long Number(string name, long otherwise) => Option(name) is { } text ? long.Parse(text, CultureInfo.InvariantCulture) : otherwise;
