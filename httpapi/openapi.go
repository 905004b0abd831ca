package httpapi

func openapiRoutes() []route { return nil }
