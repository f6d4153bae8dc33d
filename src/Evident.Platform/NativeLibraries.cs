using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.InteropServices;

namespace Evident.Platform;

/// <summary>
/// Under JIT (build, tests) the two native libraries are the distribution's shared ones. In the published binary both are
/// linked statically (<c>DirectPInvoke</c>) and no resolver is ever asked.
/// </summary>
public static class NativeLibraries
{
    private static readonly ConcurrentDictionary<string, nint> Loaded = new(StringComparer.Ordinal);

    /// <summary>Maps the import names <c>e_sqlite3</c> and <c>sodium</c> of an assembly; call once per assembly, before its first import.</summary>
    public static void Map(Assembly assembly) => NativeLibrary.SetDllImportResolver(assembly, Resolve);

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path)
    {
        string? file = name switch
        {
            "sodium" => OperatingSystem.IsWindows() ? "libsodium.dll" : "libsodium.so.23",
            "e_sqlite3" => OperatingSystem.IsWindows() ? "e_sqlite3.dll" : "libsqlite3.so.0",
            _ => null,
        };
        return file is null ? 0 : Loaded.GetOrAdd(file, static f => NativeLibrary.Load(f));
    }
}
