package httpapi

func exportJobRoutes() []route { return nil }
