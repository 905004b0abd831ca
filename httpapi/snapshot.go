package httpapi

func snapshotRoutes() []route { return nil }
